"""Exercises on pictures as numbers and on convolution by hand."""

from jaxcnn.course.exercise import Exercise
from jaxcnn.data import storage_bytes

EXERCISES = {
    "pixels/bytes": Exercise(
        lambda: storage_bytes((512, 512, 3)),
        "512 · 512 pixels, 3 values each, of 1 byte",
        {262_144: "the gray picture: RGB has three channels"},
    ),
    "pixels/scaled": Exercise(lambda: 102 / 255, "102 / 255", {102: "not divided by 255 yet"}),
    "pixels/batch": Exercise(lambda: (32, 100, 200, 3), "(batch, height, width, channels)"),
}
