"""Exercises of the course: how answers are judged, and what each of them says."""

import numpy as np
import pytest

from jaxcnn import course
from jaxcnn.course.checking import EXERCISES
from jaxcnn.course.exercise import Exercise, judge

NUMBER = Exercise(lambda: 1000.0, "10 · 100", {110: "added, not multiplied"})
COUNT = Exercise(lambda: 80_266, "640 + 79,626")
WORD = Exercise(lambda: "Valid", "no padding", {"same": "it keeps the size"})
SHAPE = Exercise(lambda: (2, 3, 3), "(batch, height, width)")
ARRAY = Exercise(lambda: np.array([[4, 3], [2, 4]]), "sums of products")


@pytest.mark.parametrize(
    ("exercise", "answer", "correct", "text"),
    [
        (NUMBER, 1000, True, "✓ 10 · 100"),
        (NUMBER, 1000.9, True, "✓ 10 · 100"),
        (NUMBER, 1001.1, False, "✗ received 1001.1; 10 · 100"),
        (COUNT, 80_266, True, "✓ 640 + 79,626"),
        (COUNT, 80_226, False, "✗ received 80226; 640 + 79,626"),
        (NUMBER, 110, False, "✗ received 110; added, not multiplied; 10 · 100"),
        (NUMBER, "1000", False, "✗ received 1000; 10 · 100"),
        (NUMBER, (1000,), False, "✗ the answer has the shape (1,), not a number; 10 · 100"),
        (NUMBER, ..., False, "✗ not answered yet"),
        (WORD, "VALID", True, "✓ no padding"),
        (WORD, "same", False, "✗ received same; it keeps the size; no padding"),
        (WORD, 3, False, "✗ received 3; no padding"),
        (SHAPE, [2, 3, 3], True, "✓ (batch, height, width)"),
        (
            SHAPE,
            (3, 3, 2),
            False,
            "✗ 2 of 3 values differ, the first at [0]; (batch, height, width)",
        ),
        (SHAPE, 18, False, "✗ the answer has the shape a number, not (3,); (batch, height, width)"),
        (ARRAY, [[4, 3], [2, 4.0]], True, "✓ sums of products"),
        (
            ARRAY,
            [[4, 3], [0, 0]],
            False,
            "✗ 2 of 4 values differ, the first at [1, 0]; sums of products",
        ),
    ],
)
def test_judgment(exercise, answer, correct, text):
    verdict = judge(exercise, answer)
    assert (bool(verdict), repr(verdict)) == (correct, text)


def test_an_answer_that_is_no_number():
    with pytest.raises(TypeError, match=r"answer must be a number, a word, a shape or an array\."):
        course.check("pixels/bytes", {"bytes": 3})


def test_an_unknown_exercise_names_the_nearest():
    with pytest.raises(ValueError, match=r"pixels/byte'.*Did you mean 'pixels/bytes'"):
        course.check("pixels/byte", 3)


@pytest.mark.parametrize("name", EXERCISES)
def test_every_exercise(name):
    exercise = EXERCISES[name]
    chapter, topic = name.split("/")
    assert chapter
    assert topic
    assert exercise.rule
    right = course.check(name, exercise.solve())
    assert right, right
    assert right.text == exercise.rule
    assert not course.check(name, ...)
    for answer, explanation in exercise.slips.items():
        verdict = course.check(name, answer)
        assert not verdict, answer
        assert explanation
        assert explanation in verdict.text
