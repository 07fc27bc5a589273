"""`cnnkit predict`: names pictures with a trained model."""

import sys

from cnnkit.commands.starting import start_keras


def predict(options):
    """Prints the likeliest classes of each picture.

    Args:
        options: `argparse.Namespace` with model, pictures and top.

    Returns:
        int, the exit status: 1 when a picture could not be read, else 0.

    Raises:
        ValueError: the model cannot be loaded.
        OSError: the model cannot be read.
    """
    import numpy as np

    start_keras()
    from cnnkit import saving
    from cnnkit.data import decoding, reading
    from cnnkit.data.reader import Reader

    model, class_names = saving.load(options.model)
    height, width, channels = model.input_shape[1:]
    status = 0
    for path in options.pictures:
        try:
            content = path.read_bytes()
            native = reading.open_picture(content).size
            size = height or native[1], width or native[0]
            image = decoding.decode(content, Reader(size, channels == 1)).pixels
        except (OSError, ValueError) as error:
            print(f"{str(path)!r}: {error}", file=sys.stderr)
            status = 1
            continue
        probabilities = model.predict_on_batch(image[np.newaxis].astype("float32"))[0]
        likeliest = np.argsort(-probabilities, kind="stable")[: options.top]
        names = class_names or [f"class {i}" for i in range(len(probabilities))]
        print(
            str(path),
            *(f"{names[i]} {probabilities[i]:.1%}" for i in likeliest),
            sep="\t",
        )
    return status
