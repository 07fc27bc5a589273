"""Names in figures: text that people wrote, in any script, made safe to draw.

matplotlib takes `$...$` for mathematics (and stops where it is none), draws boxes for
letters that its font lacks, and lets a line break or a name of 200 letters run over its
neighbours. Whatever a figure shows of a user's text passes through this module.
"""

import unicodedata
import warnings
from bisect import bisect
from collections import Counter
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from itertools import accumulate
from pathlib import Path

from matplotlib import font_manager

FIRST_FONT = "DejaVu Sans"  # comes with matplotlib: Latin, Greek, Cyrillic, Arabic ...
# Of Linux, macOS and Windows, then the one that pip brings (matplotlib-fontja). They
# stand before Chinese fonts, which draw some characters in another way.
JAPANESE_FONTS = (
    "Noto Sans CJK JP", "Noto Sans JP", "Hiragino Sans", "Yu Gothic", "Meiryo",
    "MS Gothic", "IPAexGothic",
)  # fmt: skip
NO_FONT = (OSError, RuntimeError, ValueError)  # what matplotlib says of such a file
CHARACTER = 0.6  # the width of an average letter, in units of the font size ("em")
_warned = set()  # scripts that a warning has named


def legible(names, *, width=24, kind="class"):
    r"""Returns the names as text that any figure can show, equal ones staying equal.

    Control characters and line breaks are written out (`\n`), long names lose their
    middle, and different names stay different (with `~2`, `~3`, ... where they would
    look alike). Japanese is drawn on every machine. A name in letters that no font has
    becomes a number, with one warning that says which font to install. To number
    classes alike in all figures, make titles from `legible(class_names)`.

    Args:
        names: sequence of str, such as `class_names`.
        width: int, about how many letters a name may take; Japanese characters count
            as 1.7 letters, because they are that wide.
        kind: str, the word before the number of a name that cannot be drawn; the
            number is its place in `names`, from 0.

    Returns:
        A tuple of str, as long as `names`. Draw them with `text_style`.

    Example:
        >>> legible(["cat", "two\nlines", "a_very_long_name_of_thirty_eight_letters"])
        ('cat', 'two\\nlines', 'a_very_long_n…eight_letters')
    """
    names = [str(name) for name in names]
    texts = {name: _escaped(name) for name in dict.fromkeys(names)}
    _, missing = fonts("".join(texts.values()))
    _warn_once({unicodedata.name(x, "UNKNOWN").split()[0] for x in missing})
    for name, text in texts.items():
        if missing & set(text):
            texts[name] = f"{kind} {names.index(name)}"

    # Names often share their beginning or their end: keep the part that tells most.
    def cut(front):
        return [shorten(t, width * CHARACTER, front=front) for t in texts.values()]

    cuts = max(map(cut, (0.5, 0.75, 1, 0.25, 0)), key=lambda shorts: len(set(shorts)))
    shown, copies = {}, Counter()  # what is drawn, and the name that it stands for
    for (name, text), short in zip(texts.items(), cuts, strict=True):
        candidate = short
        while candidate in shown:
            copies[short] += 1
            mark = f"~{copies[short] + 1}"
            candidate = shorten(text, width * CHARACTER - ems(mark)) + mark
        shown[candidate] = name
    drawn = {name: text for text, name in shown.items()}
    return tuple(drawn[name] for name in names)


def text_style(texts):
    """The matplotlib arguments that draw these texts of `legible` as they stand."""
    return {"family": fonts("".join(texts))[0], "parse_math": False, "usetex": False}


def fonts(text):
    """The font families that have the letters of a text, and the letters none has."""
    families, missing = [FIRST_FONT], set(text) - _letters(FIRST_FONT)
    for family in _installed() if missing else ():
        if missing & _letters(family):
            families.append(family)  # matplotlib takes the first that has a letter
            missing -= _letters(family)
        if not missing:
            break
    return families, missing


def ems(text):
    """The width of a text on one line, in units of the font size."""
    return sum(map(_advance, text))


def shorten(text, limit, *, front=0.5):
    """Cuts a part out of a text that is wider than `limit` (in units of the font size).

    `front` is how much of what remains is the beginning, from 0 to 1. Both ends tell
    names apart, so the middle goes first.
    """
    if ems(text) <= limit:
        return text
    room = limit - ems("…")
    tail = text[len(text) - _fitting(text[::-1], room * (1 - front)) :]
    return f"{text[: _fitting(text, room - ems(tail))]}…{tail}"


def _fitting(text, limit):
    """How many letters of a text fit into a width."""
    return bisect(list(accumulate(map(_advance, text))), limit)


def _escaped(text):
    """Writes invisible characters out as Python does; a visible one is itself."""
    text = unicodedata.normalize("NFC", text)  # か + dakuten is が: fonts have that one
    return "".join(
        letter
        if letter.isprintable() or letter in "\u200c\u200d"  # joiners inside words
        else " "
        if unicodedata.category(letter) == "Zs"  # wide and unbreakable spaces
        else letter.encode("unicode_escape").decode()
        for letter in text
    )


@cache
def _installed():
    """Font families to try: the Japanese ones first, then those without serifs."""
    # Only the file is taken: to import that package would change rcParams.
    spec = find_spec("matplotlib_fontja")
    ours = [str(Path(spec.origin).parent / "fonts" / "ipaexg.ttf")] if spec else []
    # matplotlib remembers the fonts of its first start: look for newer ones.
    fonts = font_manager.fontManager.ttflist
    for path in {*font_manager.findSystemFonts(), *ours} - {f.fname for f in fonts}:
        with suppress(*NO_FONT):
            font_manager.fontManager.addfont(path)
    regular = {f.name for f in fonts if f.style == "normal" and f.weight == 400}
    first = [f for f in JAPANESE_FONTS if f in {font.name for font in fonts}]
    # "Last Resort" has a box for every character, which is what we want to avoid.
    rest = {f for f in regular if not f.startswith((".", "Last Resort"))} - set(first)
    return (*first, *sorted(rest, key=lambda f: ("Sans" not in f, f)))


@cache
def _letters(family):
    """The characters that the regular face of a family has."""
    face = font_manager.FontProperties(family=[family])
    with suppress(*NO_FONT):  # an emoji font of bitmaps, for example
        path = font_manager.findfont(face, fallback_to_default=False)
        return frozenset(map(chr, font_manager.get_font(path).get_charmap()))
    return frozenset()


@cache
def _advance(letter):
    """How far one letter moves the pen, in units of the font size."""
    if letter not in _letters(FIRST_FONT):
        return 1.0  # exact for Chinese, Japanese and Korean
    font = font_manager.get_font(font_manager.findfont(FIRST_FONT))
    font.set_size(100, 72)  # 100 pixels to the em
    return font.load_char(ord(letter)).linearHoriAdvance / 65536 / 100  # 16.16 bits


def _warn_once(scripts):
    """Says which font to install, for each script once in the life of the program."""
    if new := sorted(scripts - _warned):
        _warned.update(new)
        warnings.warn(
            f"No installed font has the letters of some names ({', '.join(new)}), so "
            "figures show numbers in their place. Install the Noto Sans font of each "
            "(fonts.google.com/noto; on Debian and Ubuntu: fonts-noto) and start "
            "Python anew.",
            stacklevel=3,
        )
