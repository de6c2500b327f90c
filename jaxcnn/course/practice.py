"""Exercises on signals, videos and networks in use."""

from jaxcnn.course.exercise import Exercise

EXERCISES: dict[str, Exercise] = {}
