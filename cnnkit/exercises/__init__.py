"""Exercises: checks an answer and says what is wrong with it, not only that it is.

Right answers, the usual wrong ones and the hint for each live in one small file a
lesson (`lesson_04.py`), so that a notebook shows none of them. Such a file has two
tables: `CHECKS`, from a name to a function that takes the learner's answer, and
`QUESTIONS`, from a name to a `Question`.
"""

import copy
import importlib
import importlib.util
import inspect
import os
import re
import reprlib
import textwrap
from dataclasses import dataclass

import numpy as np

__all__ = ["NotDone", "Question", "Wrong", "check", "compare", "question"]


class NotDone(Exception):
    """The learner has not written an answer yet."""


class Wrong(Exception):
    """The answer is not right. The message is the hint that the learner reads."""


@dataclass(frozen=True)
class Question:
    """One question: its text, the letter of the right option, and all options.

    `options` goes from a letter to (what the option says, why it is right or wrong).
    """

    text: str
    right: str
    options: dict


def check(lesson, answer):
    """Prints whether an answer to an exercise is right, and if not, what is wrong.

    Args:
        lesson: str, the exercise's name: two digits, such as "04", or with a second
            part, such as "04-shapes".
        answer: what the exercise asks for: a function (without brackets) or a value.

    Raises:
        AssertionError: the answer is not right and the environment variable
            `CNNKIT_STRICT` is "1", as in tests.
        ValueError: there is no such exercise.
    """
    checker = _find(lesson, "CHECKS")
    try:
        verdict, right = f"Right. {checker(answer)}", True
    except NotDone:
        right = False
        verdict = (
            "Not done yet. Write your answer in place of `raise NotImplementedError`, "
            "then run the cell again."
        )
    except Wrong as wrong:
        verdict, right = f"Not right yet. {wrong}", False
    _say(verdict, right)


def question(name, answer=None):
    """Prints a question and its options or, given an answer, what is true about it.

    Args:
        name: str, the question's name, such as "04-size".
        answer: str, the letter of an option, or None to read the question.

    Raises:
        AssertionError: the answer is wrong and `CNNKIT_STRICT` is "1".
        ValueError: there is no such question.
    """
    asked = _find(name, "QUESTIONS")
    letter = None if answer is None else str(answer).strip(" ).").lower()
    if letter is None:
        lines = [asked.text, ""]
        lines += [f"{key}) {text}" for key, (text, _) in asked.options.items()]
        lines += ["", f'Your answer: exercises.question("{name}", "a")']
        _say("\n".join(lines), True)
    elif letter not in asked.options:
        _say(f"Answer with one of these letters: {', '.join(asked.options)}.", False)
    elif letter != asked.right:
        _say(f"{letter}) Not right. {asked.options[letter][1]} Try another.", False)
    else:
        lines = [f"{letter}) Right. {asked.options[letter][1]}", "", "The others:"]
        others = [key for key in asked.options if key != letter]
        _say("\n".join(lines + [f"{k}) {asked.options[k][1]}" for k in others]), True)


def compare(function, *, right, cases, usual):
    """Runs a learner's function beside the right one and names a usual mistake.

    Args:
        function: the learner's function; anything else is a wrong answer.
        right: the right function. Its argument names appear in the hints.
        cases: list of tuples, the positional arguments of each call.
        usual: list of (wrong function, hint). A hint is given where the learner's
            results equal those of the wrong function in every case.

    Raises:
        NotDone: the function raised NotImplementedError.
        Wrong: it is no function, raised an error, or differs from `right`.
    """
    if not callable(function):
        raise Wrong(
            "Give the function itself, by its name and without brackets after it. "
            f"Received: {_short(function)}"
        )
    names = list(inspect.signature(right).parameters)
    results = []
    for case in cases:
        given = ", ".join(f"{n}={_short(v)}" for n, v in zip(names, case, strict=False))
        try:
            result = function(*copy.deepcopy(case))
        except NotImplementedError:
            raise NotDone from None
        except (Exception, SystemExit) as error:  # whatever a learner's code can do
            problem = f"{type(error).__name__}: {_short(error, text=True)}"
            raise Wrong(f"With {given} it stopped with {problem}") from None
        if result is None:
            raise Wrong(
                f"With {given} it returned None. Is the line with `return` missing?"
            )
        results.append((case, given, result))

    if all(_same(result, right(*case)) for case, _, result in results):
        return
    for wrong, hint in usual:
        if all(_same(result, wrong(*case)) for case, _, result in results):
            raise Wrong(hint)
    for case, given, result in results:
        if not _same(result, right(*case)):
            raise Wrong(
                f"With {given} it returned {_short(result)}. "
                f"The right value is {_short(right(*case))}. Try that case on paper."
            )


def _find(name, table):
    """The entry of a lesson's table; the pattern keeps other modules out of reach."""
    match = re.fullmatch(r"(\d\d)(-[a-z0-9-]+)?", name if isinstance(name, str) else "")
    module = f"cnnkit.exercises.lesson_{match[1]}" if match else None
    if module is None or importlib.util.find_spec(module) is None:
        known = {}
    else:
        known = getattr(importlib.import_module(module), table)
    if name not in known:
        raise ValueError(
            'The name is a lesson\'s two digits in quotes, such as "04", or has a '
            f"second part. This lesson has {sorted(known)}. Received: {_short(name)}"
        )
    return known[name]


def _same(result, expected):
    """Equal in shape and, up to rounding, in value; never raises."""
    try:
        return np.shape(result) == np.shape(expected) and bool(
            np.allclose(result, expected, rtol=1e-6, atol=1e-12)
        )
    except Exception:  # a learner's result can be anything
        return False


def _short(value, text=False):
    """One short line that shows a value, whatever its `repr` does."""
    try:
        value = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
        line = str(value) if text else reprlib.repr(value)
    except Exception:
        line = f"a value of type {type(value).__name__}"
    line = "".join(c if c.isprintable() else " " for c in line)
    line = " ".join(re.sub(" at 0x[0-9a-f]+", "", line).split())
    return line if len(line) <= 80 else line[:77] + "..."


def _say(message, right):
    """Prints a message in short lines, or raises it where tests want that."""
    if not right and os.environ.get("CNNKIT_STRICT") == "1":
        raise AssertionError(message)
    for line in message.split("\n"):
        print(textwrap.fill(line, 88, break_on_hyphens=False))
