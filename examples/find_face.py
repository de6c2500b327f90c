"""Train a classifier on small patches, slide it over a photo, and find the face in it.

``python examples/find_face.py [--short]``

The patches are the 200 of scikit-image's ``lfw_subset``, 25×25 pixels of a face or of none, and
windows of photos without people. The trained network is made fully convolutional: applied to the
portrait of Eileen Collins (NASA, public domain) at several scales it gives the probability of a
face for every window, 4 pixels apart, in one pass for each scale.
"""

import sys
from functools import partial

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from flax import nnx
from jax.nn import relu
from PIL import Image
from skimage import data

import jaxcnn as cnn

SIDE, STRIDE = 25, 4  # of a window, and from one to the next
FACES = range(50, 240)  # sides in pixels of the faces that are looked for
SHRINK = 1.15  # from one scale to the next
PHOTOS = (
    "brick", "chelsea", "clock", "coffee", "coins", "colorwheel", "grass", "gravel",
    "immunohistochemistry", "moon", "page", "retina", "rocket", "stereo_motorcycle", "text",
)  # fmt: skip

network = cnn.serial(
    cnn.conv(16, 4), cnn.batch_norm(), relu, cnn.max_pool(2),
    cnn.conv(32, 4), cnn.batch_norm(), relu, cnn.max_pool(2),
    cnn.flatten(), cnn.dropout(0.3), cnn.dense(64), relu, cnn.dense(2),
)  # fmt: skip


def gray(photo: np.ndarray, side: float = SIDE) -> np.ndarray:
    """Return a photo in gray, so small that windows of `side` pixels have 25: (H, W, 1) uint8."""
    picture = Image.fromarray(photo).convert("L")
    size = [round(length * SIDE / side) for length in picture.size]
    return np.asarray(picture.resize(size, Image.Resampling.BILINEAR))[..., None]


def others(count: int) -> np.ndarray:
    """Return about `count` windows without a face: (N, 25, 25, 1) uint8."""
    random = np.random.default_rng(0)
    sides = np.geomspace(25, 200, 10)
    windows = []
    for name in PHOTOS:
        photo = getattr(data, name)()
        photo = photo[0] if isinstance(photo, tuple) else photo  # the left one of a pair
        for side in sides:
            small = gray(photo, side)
            corners = np.array(small.shape[:2]) - SIDE
            if corners.min() < 0:
                continue
            for top, left in random.integers(corners + 1, size=(count // len(PHOTOS) // 10, 2)):
                windows.append(small[top : top + SIDE, left : left + SIDE])
    return np.array(windows)


def near_faces(faces: np.ndarray, count: int) -> np.ndarray:
    """Return about `count` patches made of faces that are no faces.

    They are parts, such as an eye or a mouth, faces turned by 90, 180 and 270 degrees, and faces
    whose halves are exchanged.
    """
    random = np.random.default_rng(0)
    chosen = []
    for face in faces[random.integers(len(faces), size=count // 4)]:
        side = int(random.integers(9, 15))
        top, left = random.integers(SIDE - side + 1, size=2)
        part = gray(face[top : top + side, left : left + side, 0], side)
        turned = (np.rot90(face, quarters) for quarters in (random.choice([1, 3]), 2))
        exchanged = np.roll(face, SIDE // 2, axis=random.integers(2))
        chosen += [part, *turned, exchanged]
    return np.array(chosen)


def train_classifier(count: int, epochs: int) -> tuple[nnx.Module, float]:
    """Return a trained network, and its accuracy on patches that were held out.

    It is trained three times: then again on the windows that it takes for faces, of `count`.
    """
    lfw = np.round(255 * data.lfw_subset()[..., None]).astype(np.uint8)
    faces, candidates = lfw[:80], others(count)
    rest = np.concatenate([lfw[100:180], near_faces(faces, count // 10), candidates[::10]])
    names = np.array(["face", "other"])
    test = np.concatenate([lfw[80:100], lfw[180:]]), names.repeat(20)
    augment = (
        cnn.augment.random_flip,
        partial(cnn.augment.random_affine, rotation=10, translation=0.05, scale=(0.9, 1.1)),
        partial(cnn.augment.color_jitter, brightness=0.4, contrast=0.4),
    )
    model: nnx.Module = network.build(lfw.shape[1:], rngs=nnx.Rngs(0))
    for _ in range(3):
        times = max(len(rest) // len(faces) // 2, 1)  # every face is changed at random each time
        images = np.concatenate([np.repeat(faces, times, axis=0), rest])
        train = cnn.Dataset(images, names.repeat([80 * times, len(rest)]))
        model = cnn.fit(model, train, epochs=epochs, augment=augment, batch_size=64).model
        wrong = np.argsort(cnn.predict(model, candidates)[:, 1])[: count // 16]
        rest = np.concatenate([rest, candidates[wrong]])
    return model, cnn.evaluate(model, test).accuracy


def slide(model: nnx.Module, photo: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return all windows of a photo, (N, 4), and the probability of a face in each, (N,)."""
    sliding = cnn.fully_convolutional(model)
    boxes, scores, side = [], [], float(FACES.start)
    while side < FACES.stop:
        small = gray(photo, side)
        small = small[:, : (small.shape[1] - SIDE) // STRIDE * STRIDE + SIDE]
        windows = cnn.sliding_windows(sliding, small.shape)
        # A face is one in the mirror too: the mean of both answers for each window.
        answers, mirrored = cnn.predict(
            sliding, np.stack([small, small[:, ::-1]]), activation="softmax"
        )[..., 0]
        boxes.append(windows.reshape(-1, 4) * (side / SIDE))
        scores.append((answers + mirrored[:, ::-1]).ravel() / 2)
        side *= SHRINK
    return np.concatenate(boxes), np.concatenate(scores)


def heat_map(photo: np.ndarray, boxes: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the highest probability of the windows whose middle is near each pixel."""
    heat = np.zeros(photo.shape[:2], np.float32)
    middles, reach = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2] - boxes[:, 0]) * 2 / SIDE
    for (x, y), half, score in zip(middles, reach, scores, strict=True):
        rows = slice(max(int(y - half), 0), int(y + half) + 1)
        columns = slice(max(int(x - half), 0), int(x + half) + 1)
        heat[rows, columns] = np.maximum(heat[rows, columns], score)
    return heat


def main(
    count: int = 16_000, epochs: int = 5, picture: str = "find_face.png"
) -> tuple[float, np.ndarray, float]:
    """Print the box of the best window, and draw it; return accuracy, box and probability."""
    model, accuracy = train_classifier(count, epochs)
    print(f"accuracy on the patches held out: {accuracy:.1%}")

    photo = data.astronaut()
    boxes, scores = slide(model, photo)
    places, found = cnn.ops.nms(jnp.asarray(boxes), jnp.asarray(scores), threshold=0.2, limit=5)
    chosen = np.asarray(places)[np.asarray(found)]
    print(f"{len(boxes):,} windows; the best of those that do not overlap:")
    for box, score in zip(boxes[chosen], scores[chosen], strict=True):
        print(f"  {score:.4f}  {box.round().astype(int)}")
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.9), layout="constrained")
    left.imshow(photo)
    x1, y1, x2, y2 = boxes[chosen[0]]
    left.plot([x1, x2, x2, x1, x1], [y1, y1, y2, y2, y1], color="lime", linewidth=2)
    left.set_title(f"face, probability {scores[chosen[0]]:.4f}")
    right.imshow(gray(photo, SIDE)[..., 0], cmap="gray")
    right.imshow(heat_map(photo, boxes, scores), cmap="inferno", alpha=0.7, vmin=0, vmax=1)
    right.set_title("probability of a face, largest over the scales")
    for axis in (left, right):
        axis.axis("off")
    figure.savefig(picture, dpi=110)
    plt.close(figure)
    print(f"drawn into {picture}")
    return accuracy, boxes[chosen[0]], float(scores[chosen[0]])


if __name__ == "__main__":
    main(*((1600, 3) if "--short" in sys.argv[1:] else ()))
