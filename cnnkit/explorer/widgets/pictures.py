"""Which picture: a menu, and files of the learner's own, read from their bytes."""

from html import escape

import ipywidgets

from cnnkit.data.decoding import decode
from cnnkit.data.opening import PictureError
from cnnkit.data.reader import Reader
from cnnkit.explorer.widgets.views import as_message, menu

NAME = 40  # letters of a file's name that are shown


def choice(images, names=None, reader=None):
    """Makes a menu of pictures, and a button that adds pictures from files.

    A file is decoded as in the `data` room, and squeezed into the size of the first
    picture. One that is no picture is not added, and is answered in words.

    Args:
        images: array of pixels in [0, 255], shape (n, height, width, channels).
        names: n str, or None for "picture 1", "picture 2", ...
        reader: how files are read, a `data.Reader`, or None for squeezed pictures.

    Returns:
        An `ipywidgets.Dropdown` whose value is the place of a picture in the list; the
        list of pictures, each of shape (height, width, channels), that grows with each
        file; the button, an `ipywidgets.FileUpload`; and its answer, an
        `ipywidgets.HTML`.

    Raises:
        ValueError: there is no picture, or not a name for each.
    """
    images = list(images)
    names = [f"picture {i + 1}" for i in range(len(images))] if names is None else names
    if not images or len(names) != len(images):
        raise ValueError(
            "One picture or more is needed, and a name for each. Received: "
            f"{len(images)} pictures, {len(names)} names"
        )
    options = [(_short(name), i) for i, name in enumerate(names)]
    which = menu("picture", options)
    button = ipywidgets.FileUpload(  # Jupyter takes no more, and says nothing
        accept="image/*", multiple=True, description="add your own, up to 10 MB",
        layout={"width": "auto"},
    )  # fmt: skip
    answer = ipywidgets.HTML()

    def take(_):
        (height, width, channels), added, refused = images[0].shape, [], []
        read = reader or Reader(grey=channels == 1)
        for file in button.value:
            name = _short(file["name"])
            try:
                content = bytes(file["content"])
                picture = decode(content, read.sized((height, width)))
            except PictureError as error:
                refused.append(f"{name} was not added: {error}.")
            else:
                images.append(picture.pixels)
                added.append((name, len(images) - 1))
        answer.value = "".join(map(as_message, refused)) + (
            f'<p role="status">Added: {escape(", ".join(dict(added)))}.</p>'
            if added else ""
        )  # fmt: skip
        if added:  # new options select the first one: the newest stands there
            which.options = [*added[::-1], *which.options]

    button.observe(take, "value")
    return which, images, button, answer


def _short(name):
    """A name that fits into a menu: both ends of a long one."""
    name = " ".join(str(name).split())
    if len(name) <= NAME:
        return name
    return f"{name[: NAME // 2]}…{name[1 - NAME // 2 :]}"
