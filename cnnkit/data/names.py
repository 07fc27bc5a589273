"""Names from other systems: in which encoding they are, and what every system can hold.

The same bytes are 犬 on a Japanese Windows and îó on an old American one. A reading is
believed where it looks like writing: letters of the West stand beside plain letters,
signs of East Asia are mostly the usual ones. Several such readings only a person can
tell apart.
"""

import os
import re
import unicodedata

from cnnkit.data import folders

MOST_DEPTH = 20  # folders inside folders
DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # Windows
AWKWARD = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\]')  # likewise

# The bytes of the characters that most texts are made of: kana, and the common one of
# the two levels that these standards sort their signs into.
USUAL = {
    "cp932": rb"\x81[@-|]|\x82[O-\xf1]|\x83[@-\x96]|[\x88-\x97].|\x98[@-r]|[\xa6-\xdf]",
    "gb18030": rb"[\xa1-\xa3\xb0-\xd7][\xa1-\xfe]",
    "big5": rb"[\xa1-\xc6].",
    "cp949": rb"[\xa1-\xa3\xb0-\xc8][\xa1-\xfe]",
    "euc_jp": rb"[\xa1\xa3-\xa5\xb0-\xcf][\xa1-\xfe]",
}
ENCODINGS = ("utf-8", *USUAL, "cp437", "cp1252", "cp1251", "cp866")
SMALL, LARGE = "ß-öø-ÿœšž", "À-ÖØ-ÞŒŠŽ"
WESTERN = re.compile(  # no letter alone, no small one before a large one
    rf"(?:[\0-\x7f]|(?<=[A-Za-z{SMALL}{LARGE}])[{SMALL}](?![A-Z{LARGE}])"
    rf"|[{SMALL}](?=[a-z])|(?<=[A-Z])[{LARGE}]|[{LARGE}](?=[A-Za-z]))*"
)
UTF_8 = re.compile(r"[^\0-\u07ff]|[\u0370-\u07ff]{2}|[A-Za-z][À-\u036f]|[À-ɏ][A-Za-z]")
TORN = re.compile(
    r"[A-Za-z][^\0-\x7f][A-Za-z]|[A-Za-z][ｦ-ﾟ]|[ｦ-ﾟ][A-Za-z]|[\ue000-\uf8ff]"
)
TOUCHING = re.compile(r"[a-z][^\0-\x7f]|[^\0-\x7f][a-z]")


def readings(content):
    """The likely readings of bytes: {encoding: text}, several where one cannot tell."""
    found = {encoding: text_in(content, encoding) for encoding in ENCODINGS}
    found = {encoding: text for encoding, text in found.items() if text is not None}
    if content.isascii() or UTF_8.search(found.get("utf-8", "")):
        return {"utf-8": found["utf-8"]}
    return {e: text for e, text in found.items() if _looks_written(text, e)}


def text_in(content, encoding):
    """The text of bytes in an encoding, or None where they have none."""
    try:
        return content.decode(encoding)
    except (UnicodeDecodeError, LookupError):  # or there is no such encoding
        return None


def _looks_written(text, encoding):
    if encoding not in USUAL:
        return encoding == "utf-8" or bool(WESTERN.fullmatch(text))
    usual = re.compile(USUAL[encoding], re.DOTALL)
    signs = [sign for sign in text if not sign.isascii()]
    number = sum(bool(usual.fullmatch(sign.encode(encoding))) for sign in signs)
    touching = len(TOUCHING.findall(text))
    return number > 0.7 * len(signs) >= 1.4 * touching and not TORN.search(text)


def offers(content, found):
    """The readings that a person may choose from, or all that there are."""
    found = found if len(found) > 1 else ENCODINGS
    known = {encoding: text_in(content, encoding) for encoding in found}
    each = [f"encoding={e!r} reads {t[:30]!r}" for e, t in known.items() if t]
    return ", ".join(each)


def decoded(raw, encoding=None):
    """Names as text, and the encoding of those that are bytes.

    Args:
        raw: list of names, str or bytes.
        encoding: str, or None to find it out.

    Returns:
        A list of str; the encoding.

    Raises:
        ValueError: it cannot be told; the message has the readings.
    """
    odd = {part for name in raw if type(name) is bytes for part in name.split(b"/")}
    odd = b"/".join(sorted(part for part in odd if not part.isascii()))
    found = readings(odd) if encoding is None else {encoding: text_in(odd, encoding)}
    if len(found) != 1 or None in found.values():
        raise ValueError(
            "its names are not in UTF-8, and one cannot tell in what: choose with "
            f"data.unpack(archive, encoding=...); {offers(odd, found)}"
        )
    (encoding,) = found
    return [n if type(n) is str else n.decode(encoding) for n in raw], encoding


def portable(part):
    """The name of a file or folder as every system can hold it."""
    part = AWKWARD.sub("_", part).rstrip(" .") or "_"
    part = "_" * bool(DEVICES.fullmatch(part)) + part
    if len(part.encode()) > 255:
        stem, suffix = os.path.splitext(part)
        part = stem.encode()[:200].decode(errors="ignore") + suffix[:20]
    return part


def placed(names):
    """Paths that every system can hold, each another, and what was changed for it.

    Args:
        names: list of str, paths of files.

    Returns:
        A list of str with forward slashes; a dict of parts of names, old to new.

    Raises:
        ValueError: a name leads out of the folder, or would overwrite another.
    """
    paths, changed, owners = [], {}, {}
    for name in names:
        name = name.replace("\\", "/")
        old = [part for part in name.split("/") if part not in ("", ".")]
        if ".." in old or name.startswith("/") or re.match("[A-Za-z]:/", name):
            raise ValueError(f"a member is outside the folder: {name!r}")
        if not 0 < len(old) <= MOST_DEPTH:
            raise ValueError(f"more than {MOST_DEPTH} folders deep: {name!r}")
        new = [portable(part) for part in old]
        stem, suffix = os.path.splitext(new[-1])
        for depth in range(1, len(old) + 1):
            here, again = (old[:depth], depth == len(old)), 1
            while (other := owners.setdefault(_look(new[:depth]), here)) is not here:
                if other[0] == here[0] or not (here[1] and other[1]):
                    break
                again += 1  # 1.png beside 1.PNG
                new[-1] = f"{stem}_{again}{suffix}"
            if other is not here and (other != here or here[1]):
                both = "/".join(other[0]), "/".join(here[0])
                raise ValueError(
                    f"two members want one place on many systems: {folders.few(both)}"
                )
        changed |= {o: n for o, n in zip(old, new, strict=True) if o != n}
        paths.append("/".join(new))
    return paths, changed


def _look(parts):
    return unicodedata.normalize("NFC", "/".join(parts)).casefold()
