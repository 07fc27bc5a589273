"""The main job in a terminal: `cnnkit check`, `cnnkit train` and `cnnkit predict`.

Nothing heavy is imported until there is something to do, so that `--help` is quick.
"""

import argparse
import os
import sys
from pathlib import Path

from cnnkit.commands.check import check
from cnnkit.commands.predict import predict
from cnnkit.commands.starting import Lasting, open_streams
from cnnkit.commands.train import train


def main(arguments=None):
    """Runs the command line.

    Args:
        arguments: list of str, or None for those of the process.

    Returns:
        int, the exit status: 0 when all went well, 1 when the check found an error or
        a picture could not be read, 2 when the command could not be carried out, 130
        when interrupted, 141 when the reader of the output went away.
    """
    open_streams()
    options = _parser().parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow's start-up talk
    # Else SciPy's Fortran, on some Windows, ends the process at Ctrl-C (scipy #14483).
    os.environ.setdefault("FOR_DISABLE_CONSOLE_CTRL_HANDLER", "1")
    try:
        status = options.run(options)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # `cnnkit check FOLDER | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (ValueError, OSError, RuntimeError, MemoryError) as error:
        text = getattr(error, "strerror", None) or error  # without its number
        file = getattr(error, "filename", None)
        text = f"{text}: {str(file)!r}" if file else text
        print(f"cnnkit: {text}", file=Lasting(sys.stderr))
        return 2
    except KeyboardInterrupt:
        print("\ncnnkit: stopped", file=Lasting(sys.stderr))
        return 130


def _parser():
    parser = argparse.ArgumentParser(
        prog="cnnkit", description="From a folder of pictures to a classifier."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    layout = argparse.ArgumentParser(add_help=False)
    layout.add_argument(
        "--labels", choices=("first", "last", "name"),
        help="what names the class: the outer folder, the folder that holds the "
        "picture, or the file's name before its number (default: outer folders)",
    )  # fmt: skip
    layout.add_argument(
        "--links", type=Path, metavar="DIR",
        help="follow links to files and folders that lie in DIR",
    )  # fmt: skip

    train_options = commands.add_parser(
        "train",
        parents=[layout],
        help="train a classifier on a folder and write a report",
        description="Reads a folder with a subfolder of pictures for each class (or "
        "train/, val/, test/ of such), trains, and writes report, model, predictions.",
    )
    train_options.add_argument("folder", type=Path, metavar="FOLDER")
    train_options.add_argument(
        "--minutes", type=float, default=2.0, metavar="N",
        help="how long to train (default: 2)",
    )  # fmt: skip
    train_options.add_argument(
        "--tune", type=float, default=0.0, metavar="N",
        help="minutes of trying settings before the training (default: 0)",
    )  # fmt: skip
    train_options.add_argument(
        "--out", type=Path, metavar="DIR",
        help="where to write (default: runs/FOLDER), or DIR-2, DIR-3 ... if in use",
    )  # fmt: skip
    train_options.add_argument(
        "--image-size", type=int, metavar="P",
        help="side in pixels that pictures are resized to (default: as they are, "
        "at most 224, or 96 where no ImageNet weights are at hand)",
    )  # fmt: skip
    train_options.add_argument(
        "--groups", choices=("folder",),
        help="keep the folders inside a class, such as patients, on one side each",
    )  # fmt: skip
    train_options.add_argument(
        "--seed", type=int, default=0, metavar="S",
        help="of the split and of training (default: 0)",
    )  # fmt: skip
    train_options.add_argument(
        "--skip-unreadable", action="store_true",
        help="go on without the files that cannot be read",
    )  # fmt: skip
    train_options.add_argument(
        "--resume", type=Path, metavar="DIR",
        help="go on with the run in DIR that was stopped; all else as it was",
    )  # fmt: skip
    train_options.set_defaults(run=train)

    check_options = commands.add_parser(
        "check",
        parents=[layout],
        help="say what is wrong with the pictures of a folder",
        description="Opens every file and says what would spoil training: damage, "
        "copies, leaks from training to test, dark or blurred pictures, small classes, "
        "and more. Nothing is changed, unless --move is given.",
    )
    check_options.add_argument("folder", type=Path, metavar="FOLDER", nargs="?")
    check_options.add_argument(
        "--codes", action="store_true", help="list all that can be found, and stop"
    )
    check_options.add_argument(
        "--table", type=Path, metavar="FILE", help="also write all findings as CSV"
    )
    check_options.add_argument(
        "--quarantine", type=Path, metavar="DIR",
        help="write to DIR/plan.csv which files cannot be used",
    )  # fmt: skip
    check_options.add_argument(
        "--move", action="store_true", help="move the files of the plan to DIR"
    )
    check_options.add_argument(
        "--undo", action="store_true", help="bring the files of DIR back"
    )
    check_options.set_defaults(run=check)

    predict_options = commands.add_parser(
        "predict",
        help="name pictures with a trained model",
        description="Names pictures, reading them as the model's own were read. Where "
        'the model is less sure than its file asks for, the answer is "unsure".',
    )
    predict_options.add_argument("model", metavar="MODEL", help="a .keras file")
    predict_options.add_argument(
        "pictures", nargs="+", metavar="PICTURE",
        help='files, folders, .zip or .tar archives, patterns such as "new/*.jpg"',
    )  # fmt: skip
    predict_options.add_argument(
        "--top", type=int, default=3, metavar="K", help="classes shown (default: 3)"
    )
    predict_options.add_argument(
        "--unsure-below", type=float, metavar="P",
        help="least probability of an answer (default: what the file says; 0: none)",
    )  # fmt: skip
    predict_options.add_argument(
        "--out", type=Path, metavar="FILE", help="write the answers to a new CSV file"
    )
    predict_options.add_argument(
        "--sort-into", type=Path, metavar="DIR",
        help="copy the pictures into a new folder, with a subfolder for each answer",
    )  # fmt: skip
    predict_options.set_defaults(run=predict)
    return parser


if __name__ == "__main__":
    sys.exit(main())
