"""Checking of answers to the exercises of the course."""

from typing import Any

from jaxcnn import arguments
from jaxcnn.course import images, networks, practice, seeing, sizes
from jaxcnn.course.exercise import Verdict, judge

EXERCISES = {
    **images.EXERCISES,
    **sizes.EXERCISES,
    **networks.EXERCISES,
    **seeing.EXERCISES,
    **practice.EXERCISES,
}


def check(exercise: str, answer: Any) -> Verdict:
    """Check an answer to an exercise of the course.

    >>> check("pixels/bytes", 262_144).correct
    False
    >>> check("pixels/bytes", 512 * 512 * 3)
    ✓ 512 · 512 pixels, 3 values each, of 1 byte

    Args:
      exercise: Name of the exercise, ``"chapter/topic"``, as the chapter gives it.
      answer: A number, a word, a shape as a tuple, or an array. Numbers that are not whole may
        differ from the answer of the library by 1 in 1,000.

    Returns:
      A verdict that is true if the answer is right. It prints as the calculation behind the answer
      and, of a wrong one, what differs.

    Raises:
      TypeError: the answer is none of these.
      ValueError: no exercise has this name.
    """
    arguments.check_known("exercise", exercise, EXERCISES)
    return judge(EXERCISES[exercise], answer)
