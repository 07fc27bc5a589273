"""Geometry: where each pixel of the new picture comes from.

Each function draws, for each picture, a matrix from positions in the new picture to
positions in the old one, in pixels to the right and down from the middle. So a zoom by
1.2 looks at 1.2 times as much, and a shift to the right brings what was on the left.
"""

import numpy as np

from cnnkit.augment.pipeline import single, within

DIRECTIONS = ("horizontal", "vertical", "both")


def flip(direction="horizontal"):
    """Mirrors half of the pictures.

    Args:
        direction: "horizontal" exchanges left and right, "vertical" up and down;
            "both" draws for each of the two.

    Returns:
        A policy; see `compose`.

    Raises:
        ValueError: an unknown direction.
    """
    if direction not in DIRECTIONS:
        raise ValueError(
            f"`direction` is one of {DIRECTIONS}. Received: direction={direction!r}"
        )

    def source(generator, n, height, width):
        x, y = 1 - 2.0 * generator.integers(0, 2, (2, n))
        if direction != "both":
            x, y = (x, 1.0) if direction == "horizontal" else (1.0, x)
        return _matrices(n, x, 0, 0, y)

    return single("flip", "geometry", source, direction)


def quarter_turns():
    """Turns square pictures by 0, 90, 180 or 270 degrees, each as often; exact.

    Returns:
        A policy; see `compose`. It raises ValueError for pictures that are not square.
    """

    def source(generator, n, height, width):
        if height != width:
            raise ValueError(
                "A quarter turn exchanges height and width, so it needs square "
                f"pictures. Received: {height} x {width} pixels"
            )
        turns = generator.integers(0, 4, n)
        cos, sin = np.array([[1, 0, -1, 0], [0, 1, 0, -1]], float)[:, turns]
        return _matrices(n, cos, -sin, sin, cos)

    return single("quarter_turns", "geometry", source)


def rotation(degrees):
    """Rotates about the middle.

    Args:
        degrees: float from 0 to 180, the largest angle to either side.

    Returns:
        A policy; see `compose`.

    Raises:
        ValueError: another angle.
    """
    degrees = within(degrees, 0, 180, "`degrees` is the largest angle")

    def source(generator, n, height, width):
        angle = np.deg2rad(generator.uniform(-degrees, degrees, n))
        cos, sin = np.cos(angle), np.sin(angle)
        return _matrices(n, cos, -sin, sin, cos)

    return single("rotation", "geometry", source, degrees)


def translation(share):
    """Shifts to any side, by parts of a pixel too.

    Args:
        share: float from 0 to 1, the largest shift as a share of height and width.

    Returns:
        A policy; see `compose`.

    Raises:
        ValueError: another share.
    """
    share = within(share, 0, 1, "`share` is the largest shift, of height and width")

    def source(generator, n, height, width):
        x, y = generator.uniform(-share, share, (2, n))
        return _matrices(n, 1, 0, 0, 1, x * width, y * height)

    return single("translation", "geometry", source, share)


def crop(padding):
    """Pads on all sides and cuts the old size out anywhere: a shift by whole pixels.

    As in He et al., "Deep Residual Learning for Image Recognition", 2016, section 4.2,
    where pictures of 32 pixels are padded by 4.

    Args:
        padding: int from 0 to 1024, pixels.

    Returns:
        A policy; see `compose`.

    Raises:
        ValueError: another number.
    """
    limit = int(within(padding, 0, 1024, "`padding` is a whole number of pixels"))

    def source(generator, n, height, width):
        x, y = generator.integers(-limit, limit + 1, (2, n))
        return _matrices(n, 1, 0, 0, 1, x, y)

    return single("crop", "geometry", source, limit)


def resized_crop(smallest=0.3, *, stretch=4 / 3):
    """Cuts a part out and enlarges it to the old size.

    Szegedy et al., "Going Deeper with Convolutions", 2015, section 6, with parts from
    8 % of the picture: so little often misses the object. A part that would be wider
    or taller than the picture ends at its border.

    Args:
        smallest: float from 0.01 to 1, the smallest part, as a share of the area.
        stretch: float from 1 to 4, how much wider or narrower than in the picture
            things may become.

    Returns:
        A policy; see `compose`.

    Raises:
        ValueError: a number outside its range.
    """
    smallest = within(smallest, 0.01, 1, "`smallest` is a share of the area")
    stretch = within(stretch, 1, 4, "`stretch` is a ratio of sides")

    def source(generator, n, height, width):
        area = generator.uniform(smallest, 1, n)
        ratio = np.exp(generator.uniform(-1, 1, n) * np.log(stretch))
        wide = np.minimum(np.sqrt(area * ratio), 1)
        tall = np.minimum(np.sqrt(area / ratio), 1)
        x, y = generator.uniform(-0.5, 0.5, (2, n))
        x, y = x * (1 - wide) * width, y * (1 - tall) * height
        return _matrices(n, wide, 0, 0, tall, x, y)

    return single("resized_crop", "geometry", source, smallest, ("stretch", stretch))


def zoom(amount):
    """Zooms in and out about the middle.

    Args:
        amount: float from 0 to 0.9: from 1 - amount to 1 + amount times as much is
            seen of height and width, as for `keras.layers.RandomZoom`.

    Returns:
        A policy; see `compose`.

    Raises:
        ValueError: another amount.
    """
    amount = within(amount, 0, 0.9, "`amount` is how much more or less is seen")

    def source(generator, n, height, width):
        scale = generator.uniform(1 - amount, 1 + amount, n)
        return _matrices(n, scale, 0, 0, scale)

    return single("zoom", "geometry", source, amount)


def shear(degrees):
    """Slants upright and level lines, as if seen from the side.

    Args:
        degrees: float from 0 to 45, the largest angle to either side; it is drawn for
            upright and for level lines.

    Returns:
        A policy; see `compose`.

    Raises:
        ValueError: another angle.
    """
    degrees = within(degrees, 0, 45, "`degrees` is the largest angle")

    def source(generator, n, height, width):
        x, y = np.tan(np.deg2rad(generator.uniform(-degrees, degrees, (2, n))))
        # First along x, then along y: the determinant is 1 for any angles, so the
        # picture never folds flat.
        return _matrices(n, 1, x, 0, 1) @ _matrices(n, 1, 0, y, 1)

    return single("shear", "geometry", source, degrees)


def _matrices(n, xx, xy, yx, yy, x=0, y=0):
    """Stacks ((xx, xy, x), (yx, yy, y), (0, 0, 1)) to shape (n, 3, 3)."""
    stacked = np.zeros((n, 3, 3))
    stacked[:, 0, 0], stacked[:, 0, 1], stacked[:, 0, 2] = xx, xy, x
    stacked[:, 1, 0], stacked[:, 1, 1], stacked[:, 1, 2] = yx, yy, y
    stacked[:, 2, 2] = 1
    return stacked
