"""Exercises on pools, dense layers, whole networks and training."""

from jaxcnn.course.exercise import Exercise

EXERCISES: dict[str, Exercise] = {}
