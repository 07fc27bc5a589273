"""What the folders of a set mean: the parts of a split, classes, groups, or masks."""

import re
import unicodedata
from collections import Counter, defaultdict
from typing import NamedTuple

WORDS = {  # of the part folders, and of the column `split` of tables
    "train": "train training trainings learn learning 学習 訓練 教師 训练",
    "valid": "val valid validation validate dev devel development eval evaluation "
    "検証 验证",
    "test": "test testing tests tst holdout 評価 テスト 試験 测试",
}
# What people put before or behind such a word, which says no more.
FILLERS = (
    "the set sets data split splits part subset folder dir full all "
    "image images img imgs pic pics picture pictures photo photos sample samples file "
    "files 用 の データ セット 画像 写真 フォルダ フォルダー 集合 集 数据"
)
# Folders of masks or boxes, beside the folder of the pictures that they are about.
NOTES = set(
    "annotation annotations annots box boxes bboxes label labels mask masks gt "
    "groundtruth segmentation segmentations segmentationclass segmentationobject "
    "trimap trimaps imagesets マスク".split()
)
IMAGES = set("image images img imgs jpegimages pics pictures photos rgb 画像".split())
MASK = re.compile(
    r"^(.*?)[ _.-]*(mask|seg|segmentation|gt|groundtruth|annotation)s?([ _.-]*\d+)?$",
    re.IGNORECASE,
)


class Layout(NamedTuple):
    """How the folders of a set are read. A folder is a tuple of names from the root.

    Attributes:
        starts: dict, the folders that hold the class folders, to (None, part); the
            part is None where there is no split.
        classes: dict, each class folder to (class, part).
        said: list of sentences on what is not as usual.
        problem: str, why this cannot be read without a person's word, or "".
    """

    starts: dict
    classes: dict
    said: list
    problem: str


class Tree:
    """The folders of a set, as tuples of names, with the pictures in each.

    Args:
        pictures: list of tuples of names, the pictures' places.
        folders: tuples of names of further folders, which hold none.
    """

    def __init__(self, pictures, folders):
        self.loose = Counter(place[:-1] for place in pictures)
        self.inner, self.number = defaultdict(set), Counter()
        for folder in {*self.loose, *folders}:
            for depth in range(len(folder)):
                self.inner[folder[:depth]].add(folder[: depth + 1])
        for folder, number in self.loose.items():
            for depth in range(len(folder) + 1):
                self.number[folder[:depth]] += number

    def folders(self, folder):
        """The folders in a folder, in order."""
        return sorted(self.inner.get(folder, ()))

    def bottom(self, folder, fits=lambda name: True):
        """Goes down while a folder holds nothing but one other that holds folders."""
        while len(inner := self.folders(folder)) == 1 and self.inner.get(inner[0]):
            if not fits(inner[0][-1]):
                break
            folder = inner[0]
        return folder


def part_of(name):
    """The part that a name means, or None, and the tuple of its other words.

    "Training_set" and "学習データ" are ("train", ()), "seg-test" ("test", ("seg",)).
    """
    text = unicodedata.normalize("NFKC", name)
    text = re.sub(r"([a-z])([A-Z])", r"\1 \2", text).casefold()
    fill = f"(?:{'|'.join(sorted(FILLERS.split(), key=len, reverse=True))})*"
    parts, others = [], []
    for word in re.findall(r"[^\W\d_]+", text):
        for part, words in WORDS.items():
            if re.fullmatch(f"{fill}(?:{'|'.join(words.split())}){fill}", word):
                parts.append(part)
                break
        else:
            if not re.fullmatch(fill, word):
                others.append(word)
    return (parts[0] if len(set(parts)) == 1 else None), tuple(others)


def find(tree):
    """Says how the folders of a set are to be read: the `Layout` of a `Tree`."""
    base = tree.bottom(())
    said = [f"read from the folders in {'/'.join(base)!r}"] if base else []
    tops = tree.folders(base)
    words = {top: part_of(top[-1]) for top in tops}
    parts = {top: part for top, (part, _) in words.items() if part}
    others = [top for top in tops if top not in parts]
    starts = _starts(tree, parts)
    classes = {f: part for s, (_, part) in starts.items() for f in tree.folders(s)}
    is_split = "train" in parts.values() and not others
    is_split &= len({words[top][1] for top in parts} - {()}) < 2
    if "train" in classes.values() and len(parts) > 1:
        is_split |= all(len(tree.folders(other)) < 2 for other in others)
    if is_split and "train" in classes.values():
        if others:
            said.append(f"left out beside the parts, without classes: {_few(others)}")
        return Layout(starts, _named(classes), said, "")
    as_classes = _named(dict.fromkeys(tops))
    places = starts if is_split else {base: (None, None)}
    if len(parts) > 1:
        problem = (
            f"The folders {_few(tops)} have names as the parts of a split, but not the "
            "form of one. If they are parts, call them train, val and test, with a "
            "folder for each class in each of them, and take out what is none. If they "
            "are the classes, write labels='first'"
        )
        return Layout(places, as_classes, said, problem)
    if others and any(len(tree.folders(start)) > 1 for start in starts):
        problem = (
            f"{_few(parts)} is the name of a part of a split and holds folders as one "
            f"does, but there is {_few(others)} beside it. If it is a part, put the "
            "class folders of each part into train, val and test; if all of these are "
            "classes, write labels='first'"
        )
        return Layout(places, as_classes, said, problem)
    if split := _split_inside(tree, tops):
        first = "/".join(next(iter(split)))
        said.append(f"each class folder holds its parts, as {first!r}: they are kept")
        return Layout(places, split, said, "")
    return Layout(places, as_classes, said, _same_inside(tree, tops))


def _starts(tree, parts):
    """The folder in each part folder that holds the class folders: {folder: part}."""
    starts, names = {}, set()
    for top, part in sorted(parts.items(), key=lambda item: item[1] != "train"):

        def fits(name, part=part, names=names):
            found, more = part_of(name)
            return part == "train" or found == part or not more or name in names

        start = tree.bottom(top, fits)
        names = names | set(start)
        starts[start] = None, part
    return starts


def _nfc(name):
    return unicodedata.normalize("NFC", name)


def place(names, layout, labels):
    """What a picture is, from where it lies: (class, part, other folders), or None."""
    known = layout.classes if labels in (None, "first") else layout.starts
    on_way = [names[:depth] for depth in range(len(names)) if names[:depth] in known]
    if not on_way:
        return None
    label, part = known[on_way[-1]]
    rest = [name for name in names[len(on_way[-1]) : -1] if name != label]
    if labels == "last":
        label = rest.pop() if rest else None
    elif labels == "name":
        label = from_file(names)
    elif callable(labels):
        label = labels("/".join(names))
    if not label:
        return None
    return _nfc(str(label)), part, "/".join(rest) or None


def from_file(names):
    """The class in the name of a file: "cat" of cat.12.jpg, 12_cat.jpg, cat (3).jpg."""
    stem = _stem(names)
    short = re.sub(r"([\W_]+\d+)+[\W_]*$", "", stem)
    if short == stem:
        short = re.sub(r"\d+$", "", stem)
    return re.sub(r"^(\d+[\W_]+)+", "", short)


def without_masks(pictures, folders):
    """Takes out masks and boxes, which belong to segmentation and detection.

    Args:
        pictures: list of tuples of names.
        folders: set of tuples of names of folders that hold other files, or nothing.

    Returns:
        The `Tree` of what stays; the set of pictures that are masks of others
        (1_mask.png beside 1.png, masks/ beside images/); the folders of such.
    """
    stems = {(names[:-1], _stem(names)) for names in pictures}
    bare = {names: MASK.sub(r"\1", _stem(names)) for names in pictures}
    masks = {n for n in pictures if bare[n] != _stem(n) and (n[:-1], bare[n]) in stems}

    def pictured(folder):
        return {bare[names] for names in pictures if names[: len(folder)] == folder}

    tree, aside = Tree(pictures, folders), set()
    for twins in list(tree.inner.values()):
        words = {twin: re.sub(r"[\W\d_]", "", twin[-1].casefold()) for twin in twins}
        images = [twin for twin in twins if words[twin] in IMAGES]
        if not images and all(words[t] in NOTES or part_of(t[-1])[0] for t in twins):
            images = [twin for twin in twins if words[twin] not in NOTES]
        for twin in twins - set(images):
            if words[twin] in NOTES and images:
                known, mine = set().union(*map(pictured, images)), pictured(twin)
                if len(mine & known) >= len(mine) / 2:
                    aside.add(twin)

    def is_aside(names):
        return any(names[:depth] in aside for depth in range(1, len(names) + 1))

    masks |= {names for names in pictures if aside and is_aside(names)}
    kept = [names for names in pictures if names not in masks]
    return Tree(kept, [f for f in folders if not is_aside(f)]), masks, sorted(aside)


def _stem(names):
    return names[-1].rpartition(".")[0] or names[-1]


def _split_inside(tree, tops):
    """The class folders of class/train and class/test: {folder: (class, part)}."""
    inside, deeper = {}, []  # folders deeper down may be patients, but not classes
    for top in tops:
        inner = tree.folders(top)
        parts = [part_of(folder[-1]) for folder in inner]
        if tree.loose[top] or "train" not in [part for part, _ in parts]:
            return {}
        if any(part is None or more for part, more in parts):
            return {}
        deeper.append({f[-1] for folder in inner for f in tree.folders(folder)})
        for folder, (part, _) in zip(inner, parts, strict=True):
            inside[folder] = _nfc(top[-1]), part
    several = len({part for _, part in inside.values()}) > 1
    return inside if several and not set.intersection(*deeper) else {}


def _same_inside(tree, tops):
    """Why it is unclear whether the outer or the inner folders are the classes."""
    full = [top for top in tops if tree.number[top]]
    inside = [tree.folders(tree.bottom(top)) for top in full]
    inner = [
        {f[-1].casefold() for f in folders if tree.number[f]} for folders in inside
    ]
    same = sorted(set.intersection(*inner)) if len(full) > 1 else []
    if len(same) < 2:
        return ""
    return (
        f"Each of the folders {_few(full)} holds the same folders, "
        f"{_few([(s,) for s in same])}, so either may be the classes. If the inner "
        "ones are, write labels='last', and groups='folder' where the outer ones are "
        "days, cameras or patients that must each stay on one side of the split; if "
        "the outer ones are, write labels='first', and groups='folder' likewise"
    )


def _named(classes):
    return {folder: (_nfc(folder[-1]), part) for folder, part in classes.items()}


def _few(folders):
    names = [folder[-1] for folder in folders]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(map(repr, names[:3])) + more
