"""The parts of a widget: a picture that follows its controls, and common controls."""

import base64
from html import escape

import ipywidgets

from cnnkit import plots

DPI = 120  # of 11 inches: as wide as most screens and projectors
INTERVAL = 500  # milliseconds from one step of play to the next
WIDE = {"description_width": "initial"}


def drawing(draw, controls, *, slow=False):
    """Makes a picture that is drawn anew when a control changes.

    Args:
        draw: function of the values of the controls, in their order, that returns a
            matplotlib `Figure`. What it raises is shown in place of the figure.
        controls: list of widgets that have a `value`.
        slow: bool, whether to say below the old figure that a new one is being drawn.

    Returns:
        An `ipywidgets.HTML`. Once closed, it follows no more.
    """
    page = ipywidgets.HTML()

    def redraw(_=None):
        if page.comm is None:  # it was closed
            for control in controls:
                control.unobserve(redraw, "value")
            return
        if slow:
            page.value += '<p role="status">Drawing …</p>'
        try:
            page.value = as_html(draw(*(control.value for control in controls)))
        except Exception as error:  # noqa: BLE001 - a traceback would be seen by nobody
            page.value = as_message(error)

    for control in controls:
        control.observe(redraw, "value")
    redraw()
    return page


def as_html(figure):
    """Returns a figure as HTML that also says in words what is written in it.

    Args:
        figure: matplotlib `Figure`.

    Returns:
        str. The size stands in it, so that nothing moves while a new one comes.
    """
    width, height = (round(DPI * inches) for inches in figure.get_size_inches())
    content = base64.b64encode(plots.png(figure, dpi=DPI)).decode()
    return (
        f'<img alt="{escape(plots.words(figure))}" width="{width}" height="{height}" '
        'decoding="sync" style="max-width: 100%; height: auto" '
        f'src="data:image/png;base64,{content}">'
    )


def as_message(error):
    """Returns an error as HTML: its words where they were written for a reader.

    Args:
        error: an exception, or a str.

    Returns:
        str.
    """
    told = str(error)
    if isinstance(error, Exception) and not isinstance(error, ValueError):
        told = f"{type(error).__name__}: {error}"
    return f'<p role="alert" style="overflow-wrap: anywhere">{escape(told)}</p>'


def place(rows, columns, *, row=0, column=0):
    """Makes the controls of a place in a map: two sliders, and play.

    Args:
        rows: int, of the map.
        columns: int, of the map.
        row: int, where to begin.
        column: int, where to begin.

    Returns:
        An `ipywidgets.Play`, whose value is the position row by row (divide by
        `columns`: quotient and rest are row and column), and a list of the controls to
        show: a side of one pixel has no slider, and a map of one pixel nothing.
    """
    # Play's own buttons have no words for a screen reader: it ticks out of sight.
    play = ipywidgets.Play(
        value=row * columns + column, max=rows * columns - 1, interval=INTERVAL,
        layout={"display": "none"},
    )  # fmt: skip
    button = ipywidgets.ToggleButton(description="▶ play")
    ipywidgets.jslink((button, "value"), (play, "playing"))
    button.observe(
        lambda now: setattr(button, "description", "■ stop" if now.new else "▶ play"),
        "value",
    )
    sliders = [
        ipywidgets.IntSlider(row, 0, rows - 1, description="row"),
        ipywidgets.IntSlider(column, 0, columns - 1, description="column"),
    ]

    def follow_sliders(_):
        play.value = sliders[0].value * columns + sliders[1].value

    def follow_play(_):
        for slider, value in zip(sliders, divmod(play.value, columns), strict=True):
            slider.unobserve(follow_sliders, "value")
            slider.value = value
            slider.observe(follow_sliders, "value")

    for slider in sliders:
        slider.observe(follow_sliders, "value")
    play.observe(follow_play, "value")
    shown = [slider for slider in sliders if slider.max]
    return play, [*shown, button, play] if shown else []


def menu(description, options):
    """Makes a menu.

    Args:
        description: str, beside it.
        options: list of str, or of (str, value).

    Returns:
        An `ipywidgets.Dropdown`.
    """
    return ipywidgets.Dropdown(options=options, description=description, style=WIDE)


def row_of(controls):
    """Puts controls side by side, in several lines where the page is narrow.

    Args:
        controls: list of widgets.

    Returns:
        An `ipywidgets.HBox`.
    """
    layout = ipywidgets.Layout(flex_flow="row wrap", align_items="center")
    return ipywidgets.HBox(controls, layout=layout)


def close(parts):
    """Closes widgets and all that is in them, so that the browser forgets them.

    Args:
        parts: sequence of widgets.
    """
    for part in parts:
        close(getattr(part, "children", ()))
        part.close()
