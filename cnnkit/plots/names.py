"""Names in figures: text that people wrote, in any script, made safe to draw.

matplotlib takes `$...$` for mathematics (and stops where it is none), draws boxes for
letters that its font lacks, and lets a line break or a name of 200 letters run over its
neighbours. Whatever a figure shows of a user's text passes through this module.
"""

import unicodedata
import warnings
from collections import Counter
from functools import cache

from matplotlib import font_manager

FIRST_FONT = "DejaVu Sans"  # comes with matplotlib: Latin, Greek, Cyrillic, Arabic ...
# Japanese, Chinese and Korean on Linux, macOS and Windows. Japanese fonts stand first:
# where Japan and China draw one character in two ways, the first font decides.
CJK_FONTS = """
    Noto Sans CJK JP, Noto Sans JP, Source Han Sans JP, Source Han Sans, Hiragino Sans,
    Hiragino Kaku Gothic ProN, Yu Gothic, Meiryo, MS Gothic, IPAexGothic, IPAGothic,
    TakaoGothic, VL Gothic, Noto Sans CJK SC, PingFang SC, Microsoft YaHei, SimHei,
    WenQuanYi Micro Hei, WenQuanYi Zen Hei, Malgun Gothic, Apple SD Gothic Neo,
    NanumGothic, Arial Unicode MS
"""
_warned = set()  # scripts that a warning has named
CHARACTER = 0.6  # the width of an average letter, in units of the font size ("em")


def legible(names, *, width=24, kind="class"):
    r"""Returns the names as text that any figure can show, equal ones staying equal.

    Control characters and line breaks are written out (`\n`), long names lose their
    middle, and different names stay different (with `~2`, `~3`, ... where they would
    look alike). A name in letters that no installed font has becomes a number, with one
    warning that says which font to install. To number classes alike in all figures,
    make titles from `legible(class_names)`.

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
    if missing:
        _warn_once({_script(letter) for letter in missing})

    place = {name: i for i, name in reversed(list(enumerate(names)))}
    for name, text in texts.items():
        if missing & set(text):
            texts[name] = f"{kind} {place[name]}"

    # Names often share their beginning or their end: keep the part that tells most.
    def cut(front):
        return [
            shorten(text, width * CHARACTER, front=front) for text in texts.values()
        ]

    cuts = max(map(cut, (0.5, 0.75, 1, 0.25, 0)), key=lambda shorts: len(set(shorts)))
    shown, taken, copies = {}, set(), Counter()
    for (name, text), short in zip(texts.items(), cuts, strict=True):
        candidate = short
        while candidate in taken:
            copies[short] += 1
            mark = f"~{copies[short] + 1}"
            candidate = shorten(text, width * CHARACTER - ems(mark)) + mark
        taken.add(candidate)
        shown[name] = candidate
    return tuple(shown[name] for name in names)


def text_style(texts):
    """Returns the matplotlib arguments that draw these texts as they stand.

    Args:
        texts: sequence of str from `legible`.

    Returns:
        A dict of `matplotlib.text.Text` properties: the font families that together
        have all letters, and no mathematics or TeX between dollar signs.
    """
    families, _ = fonts("".join(texts))
    return {"family": families, "parse_math": False, "usetex": False}


def fonts(text):
    """Finds fonts for a text.

    Args:
        text: str, all that is to be drawn.

    Returns:
        A list of installed font families, of which matplotlib takes the first one that
        has a letter; and the set of letters that none of them has.
    """
    families, missing = [FIRST_FONT], set(text) - _letters(FIRST_FONT)
    if missing:
        for family in _installed():
            if missing & _letters(family):
                families.append(family)
                missing -= _letters(family)
            if not missing:
                break
    return families, missing


def ems(text):
    """Returns the width of a text on one line.

    Args:
        text: str of one line.

    Returns:
        float, the width in units of the font size.
    """
    return sum(map(_advance, text))


def shorten(text, limit, *, front=0.5):
    """Cuts a part out of a text that is too wide.

    Args:
        text: str of one line.
        limit: float, the width that it may have, in units of the font size.
        front: float from 0 to 1, how much of what remains is the beginning; the rest
            is the end. Both ends tell names apart, so the middle goes first.

    Returns:
        The text itself where it fits, else its ends with an ellipsis between.
    """
    if ems(text) <= limit:
        return text
    room = limit - ems("…")
    tail, right = _fitting(text[::-1], room * (1 - front))
    head, _ = _fitting(text, room - right)
    return f"{text[:head]}…{text[len(text) - tail :]}"


def _fitting(text, limit):
    """How many letters of a text fit into a width, and how wide they are."""
    used = 0.0
    for i, letter in enumerate(text):
        if used + _advance(letter) > limit:
            return i, used
        used += _advance(letter)
    return len(text), used


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
    """Font families to try, the CJK ones first, then those without serifs."""
    # matplotlib remembers the fonts of its first start: look for newer ones.
    known = {font.fname for font in font_manager.fontManager.ttflist}
    for path in set(font_manager.findSystemFonts()) - known:
        try:
            font_manager.fontManager.addfont(path)
        except (OSError, RuntimeError, ValueError):
            continue  # not a font that matplotlib can read
    fonts = font_manager.fontManager.ttflist
    families = {font.name for font in fonts}
    first = [f for f in map(str.strip, CJK_FONTS.split(",")) if f in families]
    # "Last Resort" has a box for every character, which is what we want to avoid.
    regular = {f.name for f in fonts if f.style == "normal" and f.weight == 400}
    rest = {f for f in regular if not f.startswith((".", "Last Resort"))}
    rest = sorted(rest - set(first), key=lambda f: ("Sans" not in f, f))
    return (*first, *rest)


@cache
def _letters(family):
    """The characters that the regular face of a family has."""
    try:
        path = font_manager.findfont(
            font_manager.FontProperties(family=[family]), fallback_to_default=False
        )
        return frozenset(map(chr, font_manager.get_font(path).get_charmap()))
    except (OSError, RuntimeError, ValueError):
        return frozenset()  # an emoji font of bitmaps, for example


@cache
def _advance(letter):
    """How far one letter moves the pen, in units of the font size."""
    if letter not in _letters(FIRST_FONT):
        return 1.0  # exact for Chinese, Japanese and Korean
    font = font_manager.get_font(font_manager.findfont(FIRST_FONT))
    font.set_size(100, 72)  # 100 pixels to the em
    return font.load_char(ord(letter)).linearHoriAdvance / 65536 / 100  # 16.16 bits


def _script(letter):
    """The script of a letter, from its Unicode name: "CJK", "THAI", "DEVANAGARI" ..."""
    script = unicodedata.name(letter, "UNKNOWN").split()[0]
    cjk = ("HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HANGUL", "BOPOMOFO")
    cjk += ("IDEOGRAPHIC", "FULLWIDTH", "HALFWIDTH")
    return "CJK" if script in cjk else script


def _warn_once(scripts):
    """Says which font to install, for each script once in the life of the program."""
    new = sorted(scripts - _warned)
    _warned.update(new)
    if new:
        remedy = "the Noto Sans font of each (fonts.google.com/noto)"
        if new == ["CJK"]:
            remedy = "Noto Sans CJK JP (on Debian and Ubuntu: fonts-noto-cjk)"
        warnings.warn(
            f"No installed font has the letters of some names ({', '.join(new)}), so "
            f"figures show numbers in their place. Install {remedy} and start Python "
            "anew.",
            stacklevel=3,
        )
