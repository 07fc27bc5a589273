"""`cnnkit predict`: names pictures with a trained model."""

import shutil
import sys
import unicodedata
from pathlib import Path

from cnnkit.commands.starting import start_keras


def predict(options):
    """Prints, writes or sorts by what a model says of pictures.

    Args:
        options: `argparse.Namespace` with model, pictures, top, unsure_below, out and
            sort_into.

    Returns:
        int, the exit status: 1 when a picture could not be read, else 0.

    Raises:
        ValueError: the model cannot be used, or there are no pictures.
        OSError: the model cannot be read, or the answers not be written.
    """
    from cnnkit import saving
    from cnnkit.data import writing
    from cnnkit.data.manifests import write_csv
    from cnnkit.evaluation import files

    saving.inspect(options.model)  # says what is wrong with it before Keras starts
    if options.out is not None:
        _check_new(options.out)
    if options.sort_into is not None:
        writing.check_unused(options.sort_into)
        for path in map(Path, options.pictures):
            if options.sort_into.resolve().is_relative_to(path.resolve()):
                raise ValueError(
                    "--sort-into is a folder beside the pictures, not among them. "
                    f"Received: {str(options.sort_into)!r} in {str(path)!r}"
                )
    with files.found(options.pictures) as pictures:
        start_keras()
        table = files.answers(
            options.model, pictures, unsure_below=options.unsure_below, top=options.top
        )
        if options.sort_into is not None:
            folders = files.sort_into(options.sort_into, pictures, table)
            print(f"sorted into {str(options.sort_into)!r}", file=sys.stderr)
            for answer, folder in folders.items():
                if answer != folder:
                    print(f"class {answer!r} lies in {folder!r}", file=sys.stderr)
    if options.out is not None:
        print(f"answers in {str(write_csv(table, options.out))!r}", file=sys.stderr)
    if options.out is None and options.sort_into is None:
        _show(table)
    if len(table) > 1:
        counts = table["answer"].value_counts()
        told = ", ".join(f"{_plain(a)} {n:,}" for a, n in counts[:10].items())
        more = f" and {len(counts) - 10} more" if len(counts) > 10 else ""
        print(f"{len(table):,} pictures: {told}{more}", file=sys.stderr)
    bad = table[table["problem"] != ""]
    for name, problem in zip(bad["file"], bad["problem"], strict=True):
        print(f"{name!r}: {problem}", file=sys.stderr)
    return int(len(bad) > 0)


def _check_new(path):
    """Raises unless a CSV file of this name can be written, before the work is done."""
    if path.suffix.lower() != ".csv" or path.exists():
        raise ValueError(
            "--out names a new file that ends in .csv; nothing is overwritten. "
            f"Received: {str(path)!r}"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(exist_ok=False)
        path.unlink()
    except OSError as error:
        raise ValueError(
            f"--out cannot be written there ({error.strerror}). Received: {str(path)!r}"
        ) from error


def _show(table):
    """Prints a row a picture: aligned in a terminal, with tabs for other programs."""
    rows = []
    for row in table[table["problem"] == ""].itertuples(index=False):
        told = [t for t in zip(row[2:-1:2], row[3:-1:2], strict=True) if t[0]]
        told = [f"{_plain(name)} {value:.1%}" for name, value in told]
        told[0] = f"{row.answer}: {told[0]}" if row.answer != row[2] else told[0]
        rows.append([_plain(row.file), *told])
    if not sys.stdout.isatty():
        for row in rows:
            print(*row, sep="\t")
        return
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    room = shutil.get_terminal_size().columns - sum(widths[1:]) - 2 * len(widths)
    widths[0] = min(widths[0], max(room, 16))
    for row in rows:
        while _width(row[0]) > widths[0]:  # the end of a path tells more
            row[0] = "…" + row[0].lstrip("…")[1:]
        cells = [c + " " * (w - _width(c)) for c, w in zip(row, widths, strict=True)]
        print("  ".join(cells).rstrip())


def _plain(text):
    return text if text.isprintable() else repr(text)


def _width(text):
    return sum(1 + (unicodedata.east_asian_width(c) in "FW") for c in text)
