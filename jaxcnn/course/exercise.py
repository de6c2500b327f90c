"""An exercise of the course: its answer, computed by the library, and the rule behind it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jaxcnn import arguments


@dataclass(frozen=True)
class Exercise:
    """A question of a chapter.

    Attributes:
      solve: Computes the answer: a number, a word, a shape or an array.
      rule: The calculation behind the answer, with its numbers; it does not need the language of
        the chapter.
      slips: Explanations of answers that are wrong for a known reason.
    """

    solve: Callable[[], Any]
    rule: str
    slips: Mapping[Any, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """The judgment of an answer: true if it is right; a notebook shows its text."""

    correct: bool
    text: str

    def __bool__(self) -> bool:
        """Return whether the answer is right."""
        return self.correct

    def __repr__(self) -> str:
        """Return the text behind its mark."""
        return f"{'✓' if self.correct else '✗'} {self.text}"


def judge(exercise: Exercise, answer: Any) -> Verdict:
    """Compare an answer with that of the exercise.

    Words may be in any case; whole numbers must be equal, others to 1 in 1,000.
    """
    if answer is ...:
        return Verdict(False, "not answered yet")
    expected = exercise.solve()
    if isinstance(expected, str) or isinstance(answer, str):
        correct = str(answer).casefold() == str(expected).casefold()
        return _verdict(correct, exercise, answer, "")
    given, wanted = _numbers(answer), np.asarray(expected, float)
    counted = np.issubdtype(np.asarray(expected).dtype, np.integer)
    if given.shape != wanted.shape:
        return _verdict(False, exercise, answer, _shapes(given.shape, wanted.shape))
    wrong = np.argwhere(~np.isclose(given, wanted, rtol=0 if counted else 1e-3, atol=1e-6))
    if wanted.ndim and len(wrong):
        first = ", ".join(str(index) for index in wrong[0])
        difference = f"{len(wrong)} of {wanted.size} values differ, the first at [{first}]"
        return _verdict(False, exercise, answer, difference)
    return _verdict(not len(wrong), exercise, answer, "")


def _numbers(answer: Any) -> np.ndarray:
    try:
        return np.asarray(answer, float)
    except (TypeError, ValueError) as error:
        received = f"Received: {arguments.shown(answer)}"
        raise TypeError(
            f"answer must be a number, a word, a shape or an array. {received}"
        ) from error


def _verdict(correct: bool, exercise: Exercise, answer: Any, difference: str) -> Verdict:
    if correct:
        return Verdict(True, exercise.rule)
    slip = exercise.slips.get(answer, "") if np.isscalar(answer) else ""
    parts = (difference or f"received {answer}", slip, exercise.rule)
    return Verdict(False, "; ".join(part for part in parts if part))


def _shapes(given: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    names = ["a number" if not shape else f"{shape}" for shape in (given, wanted)]
    return f"the answer has the shape {names[0]}, not {names[1]}"
