"""Writes the report, as a page or as the model card of a model hub."""

import datetime
import pathlib
import re

import jinja2
import markupsafe

import cnnkit
from cnnkit import evaluation, saving
from cnnkit.data.display import readable, template_environment
from cnnkit.data.surroundings import check_place
from cnnkit.report import facts, trust
from cnnkit.report.results import result

MARK = '<meta name="generator" content="cnnkit'  # a page with it may be replaced
CARD = "<!-- cnnkit"
MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|~$:])")


def write(
    model,
    photos,
    history,
    path,
    *,
    findings=None,
    trials=None,
    intended_use=None,
    limits=None,
    overwrite=False,
):
    """Writes the report of a trained model: its model card.

    It follows the sections of Mitchell et al., "Model cards for model reporting", FAT*
    2019, https://arxiv.org/abs/1810.03993. As `.html` it is one self-contained page; as
    `.md` a shorter text, with the block of metadata that model hubs read.

    The scores come from the test part, which is read here for the first time. Where it
    is empty they come from the validation part, and the page says what that means.

    Args:
        model: `keras.Model` from pixels in [0, 255] to probabilities, shape
            (batch, num_classes).
        photos: the `ImageData` that it was trained on.
        history: the `History` that `training.fit` or `fine_tune` returned, or that of
            plain Keras; None leaves out the training curves.
        path: file to write, ending in `.html` or `.md`; missing folders are made.
        findings: table from `data.check`, or None where nothing was checked.
        trials: table from `tuning.trials`, or None where no settings were searched.
        intended_use: str, what the model is for, and for whom; None leaves a place to
            fill in.
        limits: str, where it should not be used; likewise.
        overwrite: bool, whether a file that cnnkit did not write may be replaced. An
            older report is replaced in any case, so that a notebook can run again.

    Returns:
        The `pathlib.Path` of the file, under 2 MB for a usual run.

    Raises:
        ValueError: `path` has another ending, or no picture is there to measure.
        FileExistsError: the file exists, and it is not a report.
    """
    path = checked_path(path, (".html", ".md"), overwrite)
    part = "test" if (photos.manifest["split"] == "test").any() else "valid"
    table, rows = evaluation.predict(model, photos, part), photos.rows(part)
    valid = None
    if part == "test" and (photos.manifest["split"] == "valid").any():
        valid = evaluation.predict(model, photos, "valid")
    labels, _ = evaluation.arrays(table)
    facts_of_run = {
        "version": cnnkit.__version__,
        "today": datetime.date.today(),
        "intended_use": intended_use,
        "limits": limits,
        "times_tested": evaluation.times_tested(photos),
        "data": facts.pictures(photos),
        "check": facts.check(findings),
        "training": facts.training(model, history),
        "tuning": facts.tuning(trials),
        "result": result(model, photos, part, table, rows),
        "calibration": trust.calibration(table, valid),
        "slices": trust.slices(table, photos, rows),
        "leaks": trust.leaks(table, photos, findings),
        "explanations": trust.explanations(model, photos, rows, labels),
        "cost": trust.cost(model, photos),
        "environment": facts.environment(),
    }
    template = "card.md" if path.suffix == ".md" else "page.html"
    return rendered(template, path, facts_of_run)


def checked_path(path, suffixes, overwrite):
    """Returns where a report may be written.

    Args:
        path: str or path.
        suffixes: tuple of str, how it may end.
        overwrite: bool, whether a file that is no report may be replaced.

    Returns:
        `pathlib.Path`.

    Raises:
        ValueError: it ends in another way.
        FileExistsError: there is a file that cnnkit did not write.
        OSError: nothing can be written there.
    """
    path = pathlib.Path(path).expanduser()
    if path.suffix not in suffixes:
        raise ValueError(
            f"`path` must end in {' or '.join(suffixes)}. Received: path={str(path)!r}"
        )
    check_place(path, "path=")
    if path.exists() and not overwrite and not _is_report(path):
        raise FileExistsError(
            "A file of this name exists, and it is not a report of cnnkit. Choose "
            "another name, or pass overwrite=True to replace it. "
            f"Received: path={str(path)!r}"
        )
    return path


def rendered(template, path, values):
    """Writes a page whole, or not at all.

    Args:
        template: str, the name of a file beside this one.
        path: `pathlib.Path`.
        values: dict of what the template names.

    Returns:
        `path`.
    """
    environment = template_environment(
        jinja2.FileSystemLoader(pathlib.Path(__file__).parent)
    )
    environment.filters["md"] = markdown
    page = environment.get_template(template).render(values)
    with saving.replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def markdown(text, width):
    """Returns text that Markdown, and HTML within it, shows as it is.

    Args:
        text: str, from anywhere.
        width: int, the most characters that are kept.

    Returns:
        `markupsafe.Markup`, with every sign escaped that could begin a link, a table
        cell, an element or a formula.
    """
    shown = str(markupsafe.escape(readable(text, width)))
    return markupsafe.Markup(MARKDOWN.sub(r"\\\1", shown))  # noqa: S704, escaped


def _is_report(path):
    """Whether cnnkit wrote this file."""
    with open(path, "rb") as file:
        start = file.read(4000)
    return MARK.encode() in start or CARD.encode() in start
