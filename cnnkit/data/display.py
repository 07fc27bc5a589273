"""Shows an `ImageData` in a notebook: how many, of what, and what they look like.

Names of classes and files are written by people and end up in a page: all text passes
Jinja's escaping and `readable`.
"""

import base64
import io

import jinja2
import numpy as np

from cnnkit.data import reading

MOST_CLASSES = 20
MOST_PICTURES = 6  # of each class
SIDE = 64  # pixels of an example on the page

PAGE = """
<div style="font-family: system-ui, sans-serif; max-width: 56rem">
<p style="margin: 0 0 .5em"><b>{{ source|short(60) }}</b>: {{ "{:,}".format(number) }}
pictures of {{ "{:,}".format(num_classes) }} classes, {{ size }}</p>
<table style="border-collapse: collapse; font-variant-numeric: tabular-nums">
<thead><tr><th style="text-align: left">class</th>
{% for part in parts %}
<th style="text-align: right; padding-left: 1em">{{ part }}</th>
{% endfor %}
<th style="text-align: left; padding-left: 1em">some of the training pictures</th>
</tr></thead>
<tbody>
{% for row in rows %}
<tr><td style="text-align: left">{{ row.name|short(40) }}</td>
{% for count in row.counts %}
<td style="text-align: right">{{ "{:,}".format(count) }}</td>
{% endfor %}
<td style="text-align: left; padding-left: 1em; white-space: nowrap">
{% for picture in row.pictures %}
<img src="{{ picture }}" alt="{{ row.name|short(40) }}" style="height: 48px; display: inline-block; margin: 1px">
{% endfor %}
</td></tr>
{% endfor %}
</tbody>
<tfoot><tr><td style="text-align: left"><b>all{% if more %} (and {{ more }} more classes){% endif %}</b></td>
{% for count in totals %}
<td style="text-align: right"><b>{{ "{:,}".format(count) }}</b></td>
{% endfor %}
<td></td></tr></tfoot>
</table>
<ul style="margin: .5em 0 0; padding-left: 1.2em">
{% for note in notes %}
<li>{{ note|short(300) }}</li>
{% endfor %}
</ul>
</div>
"""  # noqa: E501


def readable(text, width=None):
    r"""Makes text visible: control characters are written out, long text is cut.

    Args:
        text: str, from anywhere.
        width: int, the most characters that are kept; None keeps all.

    Returns:
        str that can be printed, such as "two\\nlines" for a name of two lines. Joiners
        inside words stay; characters that reverse the direction of text do not.
    """
    if not text.isprintable():
        text = "".join(
            letter
            if letter.isprintable() or letter in "\u200c\u200d\u3000\u00a0"
            else letter.encode("unicode_escape").decode()
            for letter in text
        )
    if width is None or len(text) <= width:
        return text
    return f"{text[: width // 2]}…{text[len(text) - (width - 1) // 2 :]}"


def template_environment(loader=None):
    """Returns a Jinja environment through which no text becomes an element.

    Args:
        loader: jinja2 loader of the templates, or None for templates from text.

    Returns:
        `jinja2.Environment` with escaping on and the filter `short`.
    """
    environment = jinja2.Environment(
        loader=loader,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        # `type`, not `isinstance`: what the page's own macros made is done already.
        finalize=lambda value: readable(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["short"] = readable
    return environment


def html(photos):
    """Returns what a notebook shows for pictures.

    Args:
        photos: `ImageData`.

    Returns:
        str of HTML that loads nothing and has no script; about 2 kB a picture.
    """
    counts = photos.counts()
    height, width, channels = photos.image_shape
    rows = [
        {
            "name": name,
            "counts": counts.iloc[label].tolist(),
            "pictures": [_small(photos.pixels[i]) for i in _examples(photos, label)],
        }
        for label, name in enumerate(photos.class_names[:MOST_CLASSES])
    ]
    template = template_environment().from_string(PAGE)
    return template.render(
        source=photos.source,
        number=len(photos.manifest),
        num_classes=photos.num_classes,
        size=f"{height} × {width} pixels, {'grey' if channels == 1 else 'RGB'}",
        parts=list(counts.columns),
        rows=rows,
        more=max(0, photos.num_classes - MOST_CLASSES),
        totals=counts.sum().tolist(),
        notes=photos.notes,
    )


def _examples(photos, label):
    """Rows of a few pictures of a class, spread over its training part."""
    manifest = photos.manifest
    mine = np.flatnonzero((manifest["label"] == label) & (manifest["split"] == "train"))
    return mine[:: max(1, len(mine) // MOST_PICTURES)][:MOST_PICTURES]


def address(save, kind="png"):
    """Returns a picture as an address that holds it, so that a page needs no file.

    Args:
        save: function that writes the picture into the binary file it is given.
        kind: str, "png" or "jpeg", what it writes.

    Returns:
        str that begins with "data:image/".
    """
    file = io.BytesIO()
    save(file)
    return f"data:image/{kind};base64," + base64.b64encode(file.getvalue()).decode()


def _small(pixels):
    image = reading.as_picture(pixels)
    image.thumbnail((SIDE, SIDE))
    return address(lambda file: image.save(file, "png"))
