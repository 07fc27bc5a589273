"""What `data.check` can find: each code with its meaning, an example and a remedy."""

from typing import NamedTuple

SEVERITIES = {
    "error": "must be mended before training",
    "warning": "look at these",
    "note": "good to know",
}


class Code(NamedTuple):
    """One kind of finding.

    Attributes:
        severity: a key of `SEVERITIES`.
        meaning: str, what is so, in a few words.
        example: str, how it comes about.
        remedy: str, what to do.
        movable: bool, whether quarantine may take such files away: nothing that could
            be learnt is lost with them.
    """

    severity: str
    meaning: str
    example: str
    remedy: str
    movable: bool = False


CODES = {
    "unclear_classes": Code(
        "error", "folders that do not say which classes there are",
        "all pictures in one folder; train/ and test/ without class folders; the same "
        "folders in each class folder; images/ and masks/",
        "do what is said there: the outer folders shall have the names of the classes",
    ),
    "empty_class": Code(
        "error", "classes without a picture to learn from", "owl/ is empty",
        "add pictures, or remove the folder",
    ),
    "same_looking_names": Code(
        "error", "class names that look the same",
        "Cat/ and cat/; or one name typed on two systems (Unicode NFC and NFD)",
        "rename one folder, or join the two",
    ),
    "unknown_class": Code(
        "error", "classes that are in the test but not in training",
        "test/owl/ without train/owl/", "add the class to training, or remove it",
    ),
    "no_permission": Code(
        "error", "files or folders without the permission to be read",
        "a folder copied from another person's account",
        "change the permissions, or copy the pictures as yourself",
    ),
    "empty_file": Code(
        "error", "empty files", "a download that stopped at once",
        "copy the picture again, or move the file away", True,
    ),
    "truncated": Code(
        "error", "damaged or cut short", "the disk was full while a JPEG was saved",
        "copy the picture again, or move the file away", True,
    ),
    "not_a_picture": Code(
        "error", "not pictures, whatever their names say",
        "a web page \"404 not found\" saved as rose.jpg", "move the file away", True,
    ),
    "other_format": Code(
        "error", "pictures in a format or layout that is not read here",
        "a HEIC photo named rose.jpg, a TIFF with white as zero",
        "save the picture as PNG with 8 bits a channel",
    ),
    "too_many_pixels": Code(
        "error", "larger than 64 million pixels (256 million as a plain JPEG)",
        "a whole map, or a small file made to fill the memory",
        "save the picture smaller",
    ),
    "copies_across_classes": Code(
        "warning", "one picture in two classes", "the same file in roses/ and tulips/",
        "decide which class is right and remove the other",
    ),
    "alike_across_classes": Code(
        "warning", "nearly the same picture in two classes",
        "a rose saved again, smaller, in tulips/",
        "look at both and decide which class is right",
    ),
    "copies_across_parts": Code(
        "warning", "test or validation pictures that are in another part as well",
        "train/cat/1.jpg is also test/cat/9.jpg",
        "remove one of the two, or leave the split to cnnkit: scores are too good else",
    ),
    "alike_across_parts": Code(
        "warning", "near copies of training pictures in the test or validation part",
        "two shots of one cat within a second, one in train/ and one in test/",
        "remove one of the two, or leave the split to cnnkit: scores are too good else",
    ),
    "copies": Code(
        "warning", "exact copies within a class", "rose.jpg and rose (1).jpg",
        "keep one: copies count twice and teach nothing", True,
    ),
    "few_pictures": Code(
        "warning", "classes with fewer than three pictures",
        "owl/ holds one picture, which cannot be learnt from and tested on",
        "add pictures: twenty or more a class is a fair start",
    ),
    "imbalance": Code(
        "warning", "some classes have far more pictures than others",
        "1,000 healthy and 10 ill leaves",
        "collect more of the small classes, or train with class weights "
        "(data.balance), and read balanced accuracy, not accuracy",
    ),
    "group_tells_class": Code(
        "warning", "groups that give the class away",
        "all cats were taken with camera A, all dogs with camera B",
        "collect each class from several groups; the network may learn the camera",
    ),
    "format_tells_class": Code(
        "warning", "classes whose files are of another kind than all others",
        "all cats are PNG with 16 bits, all dogs are JPEG",
        "collect each class from the same sources, or save all files alike: the "
        "network may learn the kind of file",
    ),
    "part_as_class": Code(
        "warning", "a folder with the name of a part counts as a class",
        "test/ and control/, each with pictures",
        "nothing, if it is a class; if it is a part of a split, make train/, val/ and "
        "test/ alone, with a folder for each class in each of them",
    ),
    "blank": Code(
        "warning", "blank: one colour all over", "the lens cap was on",
        "move the file away", True,
    ),
    "dark": Code(
        "warning", "very dark", "taken at night", "look whether it can be recognised"
    ),
    "bright": Code(
        "warning", "very bright", "a pale drawing, or far too long an exposure",
        "look whether it can be recognised",
    ),
    "blurred": Code(
        "warning", "blurred", "out of focus, or enlarged from a tiny picture",
        "look whether it can be recognised",
    ),
    "odd_size": Code(
        "warning", "far smaller or larger than most", "an icon of 8 pixels",
        "look for a better copy, or a crop of the thing",
    ),
    "odd_shape": Code(
        "warning", "far wider or higher than most, or all of them than a square",
        "a panorama among snapshots; a folder of lines of text",
        'crop to the thing, or load with fit="pad" or image_size=(height, width)',
    ),
    "link": Code(
        "warning", "links that are not followed", "cat.jpg points to another disk",
        "put the picture itself there, or follow links that stay inside one folder "
        'with links="FOLDER"; what a link to nowhere means must be fetched first',
    ),
    "special_file": Code(
        "warning", "pipes, sockets or devices", "a pipe named cat.jpg", "remove it"
    ),
    "odd_name": Code(
        "warning", "names with bytes that are not Unicode, which are not read",
        "a name from an old Japanese or French archive", "rename it",
    ),
    "unread_picture": Code(
        "warning", "pictures in a format that is not read", "rose.heic, rose.cr2",
        "save them as PNG or JPEG, or they are missing in training",
    ),
    "mask": Code(
        "warning", "masks or boxes of other pictures, which are left out",
        "1_mask.png beside 1.png; masks/ beside images/",
        "nothing, if you want one class for each whole picture; take them out else",
    ),
    "loose_file": Code(
        "warning", "pictures that are in no class folder", "photos/1.jpg beside cat/",
        "put them into the folder of their class",
    ),
    "alike": Code(
        "note", "near copies within a class", "two shots of one rose",
        "nothing: cnnkit keeps them on one side of the split",
    ),
    "nested": Code(
        "note", "pictures in folders inside a class folder", "ill/patient_07/1.jpg",
        'if these are patients, days or machines, load with groups="folder", which '
        'keeps each on one side of the split; if they are the classes, labels="last"',
    ),
    "ignored": Code(
        "note", "left out: hidden, made by a program, or no pictures",
        "Thumbs.db, notes.txt, runs/", "nothing, if no picture is among them",
    ),
    "wrong_name": Code(
        "note", "another format than the name says", "a PNG named rose.jpg",
        "nothing: it is read by its content; some other programs will not",
    ),
    "trailing_bytes": Code(
        "note", "bytes after the end of the picture", "a phone's film within a JPEG",
        "nothing: they are not read",
    ),
    "rotated": Code(
        "note", "turned by a mark of the camera", "a phone held upright",
        "nothing: cnnkit turns them; other programs may not",
    ),
    "sixteen_bits": Code(
        "note", "more than 8 bits a channel", "a scan or a microscope's PNG",
        "nothing: all are scaled to 8 bits alike; the finest shades are lost",
    ),
    "two_levels": Code(
        "note", "the values 0 and 1 alone, which look black", "a mask saved as PNG",
        "nothing, if all files are so: then 1 is read as white",
    ),
    "colour_profile": Code(
        "note", "a colour profile other than sRGB", "a telephone's photo (Display P3)",
        "nothing: it is not applied; strong colours look a little paler",
    ),
    "animated": Code(
        "note", "several frames or pages", "an animated GIF",
        "nothing: the first frame is read",
    ),
    "printing_colours": Code(
        "note", "printing colours (CMYK)", "a JPEG made for a magazine",
        "nothing: converted; colours may shift a little",
    ),
    "transparent": Code(
        "note", "transparent in places", "a logo saved as PNG",
        "nothing: laid on white, or on the background= that you name",
    ),
}  # fmt: skip
