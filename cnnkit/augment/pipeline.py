"""What a policy is: steps that are drawn for each picture and done in few passes.

A step of geometry draws a matrix that says from where each pixel of the new picture
comes. Matrices multiply, so all of a policy's geometry is one warp, which also blurs
once instead of once a step. A step of colour draws a linear map of (red, green, blue,
1), and these multiply too. Other steps take pictures and give pictures.
"""

import functools
from dataclasses import dataclass

import cv2
import numpy as np

BORDERS = {"reflect": cv2.BORDER_REFLECT, "nearest": cv2.BORDER_REPLICATE}
MIRRORED = np.diag([-1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Step:
    """One way to change pictures.

    Attributes:
        text: str, the call that makes it, such as "rotation(15)".
        kind: "geometry", "colour" or "picture".
        draw: function that draws it for n pictures. Geometry: (generator, n, height,
            width) -> (n, 3, 3), from positions (x, y, 1) in the new picture to those
            in the old, in pixels from the middle. Colour: (generator, means) ->
            (n, c + 1, c + 1), for means of shape (n, c). Picture: (images, generator,
            border) -> images.
    """

    text: str
    kind: str
    draw: object


class Policy:
    """Steps in one: a function (images, generator) -> images.

    Args:
        steps: sequence of `Step`.
        border: what lies around a picture; see `compose`.
    """

    def __init__(self, steps, border="reflect"):
        self.steps = tuple(steps)
        self.border = checked_border(border)

    def __call__(self, images, generator):
        """Changes each picture of a batch in its own way.

        Args:
            images: uint8 array of shape (b, height, width, c), with c 1 or 3.
            generator: `numpy.random.Generator`; the result follows from it alone.

        Returns:
            uint8 array of the same shape; `images` stays as it is.

        Raises:
            ValueError: floats, or another shape.
        """
        n, height, width, channels = checked(images).shape
        if not channels == 3 and np.size(self.border) == 3:
            raise ValueError(
                "A border colour of three numbers is for RGB; give grey pictures one. "
                f"Received: border={self.border} for pictures of {channels} channel"
            )
        draws = self._draws("geometry")
        if draws:
            sources = [draw(generator, n, height, width) for draw in draws]
            images = warp(images, functools.reduce(np.matmul, sources), self.border)
        draws = self._draws("colour")
        if draws:
            images = recolour(images, draws, generator)
        for draw in self._draws("picture"):
            images = draw(images, generator, self.border)
        return images

    def _draws(self, kind):
        return [step.draw for step in self.steps if step.kind == kind]

    def __repr__(self):
        """The call that makes this policy."""
        texts = [step.text for step in self.steps]
        if len(texts) == 1 and self.border == "reflect":
            return texts[0]
        border = [] if self.border == "reflect" else [f"border={self.border!r}"]
        return f"compose({', '.join(texts + border)})"

    def __eq__(self, other):
        """Equal policies are made by equal calls."""
        return isinstance(other, Policy) and repr(self) == repr(other)

    def __hash__(self):
        """Equal for equal policies."""
        return hash(repr(self))


def compose(*policies, border="reflect"):
    """Makes one policy of several.

    Geometry comes first, as one bilinear warp of each picture; then colour, as one
    linear map of each pixel; then the other steps (erasing, `trivial_augment`,
    `rand_augment`). Within each kind the order is that of the arguments.

    Args:
        policies: policies of this room.
        border: what lies around a picture: "reflect" (d c b a | a b c d | d c b a),
            "nearest" (a a a a | a b c d | d d d d), or a grey level from 0 to 255, or
            three of them for red, green and blue. It holds for all steps, whatever
            border the policies had.

    Returns:
        A policy: a function (images, generator) -> images.

    Raises:
        ValueError: something that is no policy of this room, or an unknown border.

    Example:
        >>> compose(flip(), rotation(15), border="nearest")
        compose(flip('horizontal'), rotation(15), border='nearest')
    """
    for one in policies:
        if not isinstance(one, Policy):
            raise ValueError(
                "Only policies of `augment` can be fused into one. Apply a function "
                f"of your own before or after. Received: {one!r}"
            )
    return Policy([step for one in policies for step in one.steps], border)


def single(name, kind, draw, *settings):
    """Makes a policy of one step.

    Args:
        name: str, the function that is called for it.
        kind: as in `Step`.
        draw: as in `Step`.
        settings: what the function was called with, for `repr`; (name, value) is an
            argument that is given by its name.

    Returns:
        `Policy`.
    """
    texts = [
        f"{setting[0]}={_shortest(setting[1])}"
        if isinstance(setting, tuple)
        else _shortest(setting)
        for setting in settings
    ]
    return Policy([Step(f"{name}({', '.join(texts)})", kind, draw)])


def _shortest(value):
    """The shortest text that is this value again."""
    short = f"{value:g}" if isinstance(value, float) else ""
    return short if short and float(short) == value else repr(value)


def warp(images, sources, border):
    """Fetches each pixel from where its matrix says, bilinearly.

    Args:
        images: uint8 array of shape (n, height, width, c).
        sources: float array of shape (n, 3, 3); see `Step`.
        border: as for `compose`.

    Returns:
        uint8 array of the same shape, within half a grey level of exact arithmetic.
    """
    n, height, width, channels = images.shape
    kept = (sources == np.eye(3)).all(axis=(1, 2))
    mirrored = (sources == MIRRORED).all(axis=(1, 2))
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    matrices = sources[:, :2].copy()  # from the middle to the upper left pixel
    matrices[:, :, 2] += middle - matrices[:, :, :2] @ middle
    how = {
        "dsize": (width, height),
        "flags": cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        "borderMode": BORDERS.get(border, cv2.BORDER_CONSTANT),
    }
    if border not in BORDERS:
        how["borderValue"] = np.resize(border, 3).tolist()
    warped = np.empty(images.shape, "uint8")
    flat = images[..., 0] if channels == 1 else images  # as OpenCV has grey pictures
    into = warped[..., 0] if channels == 1 else warped
    for i in range(n):
        if kept[i]:
            into[i] = flat[i]
        elif mirrored[i]:
            into[i] = flat[i, :, ::-1]
        else:
            cv2.warpAffine(flat[i], matrices[i], dst=into[i], **how)
    return warped


def recolour(images, draws, generator):
    """Maps the colours of each picture linearly, and cuts at 0 and 255 once.

    Args:
        images: uint8 array of shape (n, height, width, c).
        draws: list of functions, the `draw` of steps of colour.
        generator: `numpy.random.Generator`.

    Returns:
        uint8 array of the same shape, within one grey level of exact arithmetic.
    """
    n, channels = len(images), images.shape[3]
    means = np.ones((n, channels + 1, 1))
    means[:, :channels, 0] = [cv2.mean(image)[:channels] for image in images]
    whole = np.tile(np.eye(channels + 1), (n, 1, 1))
    for draw in draws:
        whole = draw(generator, (whole @ means)[:, :channels, 0]) @ whole
    changed = np.empty(images.shape, "uint8")
    if channels == 3:
        for i in range(n):
            cv2.transform(images[i], whole[i, :3], dst=changed[i])
        return changed
    tables = whole[:, :1, 0] * np.arange(256) + whole[:, :1, 1]
    tables = np.clip(np.rint(tables), 0, 255).astype("uint8")
    for i in range(n):
        cv2.LUT(images[i, ..., 0], tables[i], dst=changed[i, ..., 0])
    return changed


def checked(images):
    """Returns pictures that a policy can work on.

    Args:
        images: what was given.

    Returns:
        The same.

    Raises:
        ValueError: no uint8 array of shape (b, height, width, 1 or 3).
    """
    kind, shape = getattr(images, "dtype", type(images).__name__), np.shape(images)
    if kind != np.uint8 or not isinstance(images, np.ndarray):
        raise ValueError(
            "A policy works on NumPy arrays of uint8, pixels from 0 to 255 before they "
            "become floats, as in `batches(augment=)`. Received: "
            f"{type(images).__name__} of {kind}"
        )
    if len(shape) != 4 or shape[3] not in (1, 3):
        raise ValueError(
            "A policy works on batches of shape (b, height, width, 1 or 3); write "
            f"images[None] for a single picture. Received: shape {shape}"
        )
    return images


def checked_border(border):
    """Returns a border as `Policy` keeps it.

    Args:
        border: what was given; see `compose`.

    Returns:
        str, int, or a tuple of three int.

    Raises:
        ValueError: it is none of them.
    """
    if isinstance(border, str) and border in BORDERS:
        return border
    levels = () if isinstance(border, str) else np.ravel(border)
    whole = all(isinstance(v, int | np.integer) and 0 <= v <= 255 for v in levels)
    if not whole or len(levels) not in (1, 3):
        raise ValueError(
            f"`border` is one of {list(BORDERS)}, a grey level from 0 to 255, or three "
            f"for a colour. Received: border={border!r}"
        )
    return int(levels[0]) if len(levels) == 1 else tuple(map(int, levels))


def within(value, low, high, name):
    """Returns a number that lies in its range.

    Args:
        value: what was given.
        low, high: numbers, the ends of the range; they belong to it.
        name: str, the argument and what it means, for the error.

    Returns:
        float.

    Raises:
        ValueError: it is no number of the range.
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not low <= number <= high:
        raise ValueError(f"{name}, from {low:g} to {high:g}. Received: {value!r}")
    return number
