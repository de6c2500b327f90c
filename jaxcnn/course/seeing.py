"""Exercises on what trained networks see."""

from jaxcnn.course.exercise import Exercise

EXERCISES: dict[str, Exercise] = {}
