"""The exercises of the course on convolutional networks, checked."""

from jaxcnn.course.checking import check
from jaxcnn.course.exercise import Verdict

__all__ = ["Verdict", "check"]
