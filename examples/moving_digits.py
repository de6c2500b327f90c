"""Which way does a digit move, and which digit is it? A 3-D network against a 2-D one.

``python examples/moving_digits.py [--short]``

Clips of 8 frames show a handwritten digit that moves over a canvas of 32×32 pixels in one of eight
directions; what leaves it on one side comes back on the other. The test clips show digits that are
in no training clip. Two networks of the same form are trained on each question: one whose kernels
extend over time, (2, 3, 3), and one that looks at every frame alone, (1, 3, 3), and averages over
the frames. A frame does not show where the digit goes. A digit moves by 4 pixels from frame to
frame, which is the stride of the networks, so that the second one computes the same average for all
frames of a clip: of the direction it can only guess.
"""

import sys
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
from flax import nnx
from jax.nn import relu

import jaxcnn as cnn

FRAMES, SIDE, DIGIT, STRIDE = 8, 32, 16, 4
DIRECTIONS = {
    "right": (0, 1), "down right": (1, 1), "down": (1, 0), "down left": (1, -1),
    "left": (0, -1), "up left": (-1, -1), "up": (-1, 0), "up right": (-1, 1),
}  # fmt: skip


def make_clips(count: int, split: str, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return clips (count, 8, 32, 32, 1), and the numbers of their directions and digits."""
    random = np.random.default_rng(seed)
    digits = cnn.data.load("digits", image_size=DIGIT, split=split)
    rows = random.integers(len(digits), size=count)
    directions = random.integers(len(DIRECTIONS), size=count)
    steps = STRIDE * np.array(list(DIRECTIONS.values()))[directions]
    # Every position is as likely in each direction: where a digit is does not tell where it goes.
    starts = random.integers(SIDE, size=(count, 2))
    clips = np.zeros((count, FRAMES, SIDE, SIDE, 1), np.uint8)
    clips[:, :, :DIGIT, :DIGIT] = np.asarray(digits.images)[rows, None]
    for clip, start, step in zip(clips, starts, steps, strict=True):
        for frame in range(FRAMES):
            clip[frame] = np.roll(clip[frame], start + frame * step, axis=(0, 1))
    return clips, directions, digits.labels[rows]


def make_network(classes: int, depth: int) -> cnn.Layer:
    """Return a network whose kernels extend over `depth` frames, and move on by as many."""
    conv = partial(
        cnn.conv,
        kernel_size=(depth, 3, 3),
        padding=(0, 1, 1),
        padding_mode="circular",  # so that no border shows where a digit is
        use_bias=False,
    )
    return cnn.serial(
        conv(12, strides=(depth, 2, 2)), cnn.batch_norm(), relu,
        conv(24, strides=(depth, 2, 2)), cnn.batch_norm(), relu,
        conv(48, strides=(depth, 1, 1)), cnn.batch_norm(), relu,
        cnn.global_avg_pool(), cnn.dense(classes),
    )  # fmt: skip


def draw(picture: str, clips: np.ndarray, titles: list[str]) -> None:
    """Save a film strip of each clip."""
    figure, axes = plt.subplots(len(clips), FRAMES, figsize=(8, 1.35 * len(clips)))
    for row, clip, title in zip(axes, clips, titles, strict=True):
        for place, axis in enumerate(row):
            axis.imshow(clip[place, ..., 0], cmap="gray", vmin=0, vmax=255)
            axis.set(xticks=[], yticks=[])
        row[0].text(0, -2, title, fontsize=9)
    figure.subplots_adjust(0.01, 0.01, 0.99, 0.97, 0.04, 0.25)
    figure.savefig(picture, dpi=110)
    plt.close(figure)


def main(
    count: int = 2500, test_count: int = 500, epochs: int = 8, picture: str = "moving_digits.png"
) -> dict[tuple[str, str], float]:
    """Print and return the accuracy of each network on each question, and draw some clips."""
    names = {"direction": tuple(DIRECTIONS), "digit": tuple(map(str, range(10)))}
    clips, *labels = make_clips(count, "train", seed=0)
    test_clips, *test_labels = make_clips(test_count, "test", seed=1)
    accuracies, predicted = {}, {}
    for question, label, test_label in zip(names, labels, test_labels, strict=True):
        train = cnn.Dataset(clips, label, names[question])
        test = cnn.Dataset(test_clips, test_label, names[question])
        for kind, depth in (("3-D", 2), ("2-D", 1)):
            network = make_network(len(names[question]), depth)
            model = network.build(train.image_shape, rngs=nnx.Rngs(0))
            trained = cnn.fit(model, train, epochs=epochs, batch_size=64, learning_rate=0.01).model
            accuracies[kind, question] = cnn.evaluate(trained, test).accuracy
            shown = cnn.predict(trained, test.images[:6]).argmax(axis=1)
            predicted[kind, question] = [names[question][number] for number in shown]
    print("network | direction | digit")
    for kind in ("3-D", "2-D frame by frame"):
        shares = (accuracies[kind[:3], question] for question in names)
        print(f"{kind} | {' | '.join(f'{share:.1%}' for share in shares)}")
    titles = [
        f"shown: {names['digit'][digit]} moves {names['direction'][direction]}.   "
        + "   ".join(
            f"{kind}: {predicted[kind, 'digit'][row]} {predicted[kind, 'direction'][row]}"
            for kind in ("3-D", "2-D")
        )
        for row, (direction, digit) in enumerate(
            zip(*(each[:6] for each in test_labels), strict=True)
        )
    ]
    draw(picture, test_clips[:6], titles)
    print(f"drawn into {picture}")
    return accuracies


if __name__ == "__main__":
    main(*((400, 100, 2) if "--short" in sys.argv[1:] else ()))
