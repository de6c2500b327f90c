"""Exercises on sizes of outputs and on activations."""

from jaxcnn.course.exercise import Exercise

EXERCISES: dict[str, Exercise] = {}
