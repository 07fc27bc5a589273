"""A finished figure for a page: its picture, and what it says in words."""

import io
from collections import defaultdict

import matplotlib


def png(figure, *, dpi=144):
    """Returns a figure as the content of a PNG file.

    Args:
        figure: matplotlib `Figure`.
        dpi: float, pixels to the inch.

    Returns:
        bytes.
    """
    file = io.BytesIO()
    # A widget waits for this: both save a fifth of the time, and cost no legibility.
    with matplotlib.rc_context({"text.hinting": "none"}):
        figure.savefig(file, format="png", dpi=dpi, pil_kwargs={"compress_level": 2})
    return file.getvalue()


def words(figure):
    """Returns what is written in a figure, panel by panel, for who cannot see it.

    Args:
        figure: matplotlib `Figure`.

    Returns:
        str: the titles, and in each panel the title, what is written in it row by row,
        and what stands under it.

    Example:
        >>> words(explorer.softmax_terms([0.0, 1.0], ["cat", "dog"]))
        'logits: cat 0.0000; dog 1.0000. exp(logit), the largest is 1: cat 0.3679; ...'
    """
    panels = [_panel(axes) for axes in figure.axes if axes.get_visible()]
    lines = sorted(figure.texts, key=lambda text: -text.get_position()[1])
    titles = [figure.get_suptitle(), *(text.get_text() for text in lines)]
    texts = dict.fromkeys(" ".join(text.split()) for text in [*titles, *panels])
    return ". ".join(text for text in texts if text)


def _panel(axes):
    """The words of one panel: "title: row; row. label"."""
    names = {}
    if axes.axison:
        ticks = axes.get_yticks()
        labels = axes.yaxis.get_major_formatter().format_ticks(ticks)
        names = dict(zip(ticks, labels, strict=True))
    rows = defaultdict(list)
    for text in axes.texts:
        if text.get_visible() and text.get_text():
            rows[round(text.get_position()[1], 3)].append(text.get_text())
    lines = [
        " ".join([names[place], *row] if names.get(place) else row)
        for place, row in rows.items()
    ]
    heads = [axes.get_title(), "; ".join(lines)]
    told = ": ".join(text for text in heads if text)
    return ". ".join(text for text in (told, axes.get_xlabel()) if text)
