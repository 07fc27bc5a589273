"""What a builder refuses at the door, with errors that say what to do instead."""

import numbers


def check_image_shape(input_shape):
    """Refuses what is no shape of a picture.

    Args:
        input_shape: (height, width, channels), without the batch; height and width
            are whole numbers of pixels or None (any size), channels is 3 (colour)
            or 1 (grey).

    Raises:
        ValueError: it is not such a triple.
    """
    if not _is_image_shape(input_shape):
        raise ValueError(
            "`input_shape` must be (height, width, channels): whole numbers of "
            "pixels, or None for any size, and then 3 channels for colour or 1 for "
            "grey. Leave the batch out; for a grey picture of shape (28, 28) write "
            f"(28, 28, 1). Received: input_shape={input_shape!r}"
        )


def check_sides(input_shape, smallest, remedy):
    """Refuses pictures that are too small for a family.

    Args:
        input_shape: (height, width, channels); a side that is None (any size) passes.
        smallest: int, pixels that the shorter side must have.
        remedy: str, what to do or to take instead, as the end of a sentence.

    Raises:
        ValueError: a side is under `smallest`.
    """
    if any(side is not None and side < smallest for side in input_shape[:2]):
        raise ValueError(
            f"Height and width must be at least {smallest} pixels, or there is nothing "
            f"left to see after the last halving: {remedy}. "
            f"Received: input_shape={tuple(input_shape)}"
        )


def check_fixed(input_shape, remedy):
    """Refuses pictures of open size, where a layer has weights for each position.

    Args:
        input_shape: (height, width, channels).
        remedy: str, what to take instead, as the end of a sentence.

    Raises:
        ValueError: height or width is None.
    """
    if None in input_shape[:2]:
        raise ValueError(
            "There are weights for each position, so the size is fixed: height and "
            f"width must be numbers of pixels. For any size take {remedy}. "
            f"Received: input_shape={tuple(input_shape)}"
        )


def check_classes(num_classes):
    """Refuses what is no number of classes.

    Args:
        num_classes: int, at least 2.

    Raises:
        ValueError: it is under 2 or not whole.
    """
    if not _is_whole(num_classes) or num_classes < 2:
        raise ValueError(
            "`num_classes` must be a whole number of at least 2: a classifier "
            "chooses between classes. For a yes-or-no question take 2. "
            f"Received: num_classes={num_classes!r}"
        )


def check_variant(name, value, variants):
    """Refuses a variant that is in no row of a family's table.

    Args:
        name: str, name of the argument, such as "depth".
        value: what was given for it.
        variants: dict, the table; its keys are the valid choices.

    Raises:
        ValueError: `value` is no key of `variants`.
    """
    if value not in variants:
        raise ValueError(
            f"`{name}` must be one of {list(variants)}. Received: {name}={value!r}"
        )


def check_width(width):
    """Refuses what no number of channels can be multiplied by.

    Args:
        width: float from 0.05 to 4.

    Raises:
        ValueError: it is out of range or no number.
    """
    if not isinstance(width, numbers.Real) or not 0.05 <= width <= 4:
        raise ValueError(
            "`width` multiplies the channels, so it must be a number from 0.05 to 4, "
            f"such as 0.25, 0.5, 0.75 or 1. Received: width={width!r}"
        )


def _is_whole(number):
    """Whether `number` counts things: an int of Python or NumPy, but not True."""
    return hasattr(number, "__index__") and not isinstance(number, bool)


def _is_image_shape(shape):
    if not isinstance(shape, (tuple, list)) or len(shape) != 3:
        return False
    height, width, channels = shape
    sides = all(s is None or (_is_whole(s) and s > 0) for s in (height, width))
    return sides and _is_whole(channels) and channels in (1, 3)
