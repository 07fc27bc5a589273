"""Ready policies, one for each kind of picture: a start, not a law.

What is allowed depends on the classes: a mirrored cat is a cat, a mirrored "turn left"
is "turn right". `label_safety` finds out. The strengths are ours.
"""

from cnnkit.augment.colour import colour_jitter
from cnnkit.augment.geometry import (
    flip,
    quarter_turns,
    rotation,
    shear,
    translation,
    zoom,
)
from cnnkit.augment.pipeline import compose, within


def policy(name, *, strength=0.5):
    """Makes a ready policy.

    Args:
        name: str: "photos" of things that have a top and a bottom, and may be mirrored;
            "signs" and other things with writing, arrows or a colour code, never
            mirrored; "digits" and letters on an even ground; "scans", from above or
            through a microscope, where any way up is right.
        strength: float from 0 to 1. Angles, shifts and changes of colour grow with it,
            from none at 0. Mirroring and quarter turns do not: they are there from the
            smallest strength on.

    Returns:
        A policy: a function (images, generator) -> images. Its `repr` says what is in.

    Raises:
        ValueError: an unknown name, or a strength outside its range.

    Example:
        >>> policy("digits", strength=1)
        compose(rotation(15), translation(0.15), zoom(0.2), shear(15), border='nearest')
    """
    if not isinstance(name, str) or name not in POLICIES:
        raise ValueError(
            f"`name` is one of {sorted(POLICIES)}; see also `trivial_augment`. "
            f"Received: name={name!r}"
        )
    strength = within(strength, 0, 1, "`strength` is how much pictures change")
    return POLICIES[name](strength) if strength else compose()


def _photos(strength):
    return compose(
        flip(),
        rotation(20 * strength),
        translation(0.2 * strength),
        zoom(0.4 * strength),
        colour_jitter(0.3 * strength, 0.5 * strength, 0.5 * strength, 0.05 * strength),
    )


def _signs(strength):
    return compose(
        rotation(20 * strength),
        translation(0.2 * strength),
        zoom(0.3 * strength),
        shear(20 * strength),
        colour_jitter(0.4 * strength, 0.5 * strength, 0.4 * strength),
        border="nearest",
    )


def _digits(strength):
    return compose(
        rotation(15 * strength),
        translation(0.15 * strength),
        zoom(0.2 * strength),
        shear(15 * strength),
        border="nearest",
    )


def _scans(strength):
    return compose(
        flip(),
        quarter_turns(),
        rotation(45 * strength),
        translation(0.1 * strength),
        zoom(0.2 * strength),
        colour_jitter(0.3 * strength, 0.4 * strength, 0.3 * strength, 0.04 * strength),
    )


POLICIES = {"photos": _photos, "signs": _signs, "digits": _digits, "scans": _scans}
