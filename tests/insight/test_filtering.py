"""A kernel on a picture: the course's numbers, SciPy's results, and the picture of both."""

import matplotlib.text
import numpy as np
import pytest
import scipy.ndimage
import scipy.signal

from jaxcnn.insight import filter_steps, plots
from jaxcnn.layers import avg_pool, conv, max_pool
from jaxcnn.ops import KERNELS

LETTER = np.array([[0, 6, 6, 0], [6, 0, 0, 6], [6, 6, 6, 6], [6, 0, 0, 6]]) / 10
FIVE = np.array(
    [[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 0], [0, 1, 1, 0, 0]], np.uint8
)
RED = [[0, 0, 0], [0, 156, 155], [0, 153, 154]], [[-1, -1, 1], [0, 1, -1], [0, 1, 1]]
GREEN = [[0, 0, 0], [0, 167, 166], [0, 164, 165]], [[1, 0, 0], [1, -1, -1], [1, 0, -1]]
BLUE = [[0, 0, 0], [0, 163, 162], [0, 160, 161]], [[0, 1, 1], [0, 1, 0], [1, -1, 1]]
PHOTO = np.random.default_rng(0).integers(0, 256, (17, 12, 3)).astype(np.uint8)


def test_the_letter_of_the_course():
    steps = filter_steps(LETTER, "sobel_x")
    np.testing.assert_allclose(
        steps.output[..., 0],
        [[-1.2, -0.6, 0.6, 1.2], [-1.2, 0.6, -0.6, 1.2], [-1.2, 1.2, -1.2, 1.2],
         [-0.6, 1.2, -1.2, 0.6]],
        atol=1e-6,
    )  # fmt: skip
    assert steps.formula == "n_H = n_W = ⌊(4 − 3 + 2·1) / 1⌋ + 1 = 4"
    assert str(steps.window((0, 1))).splitlines() == [
        "output (0, 1): rows −1…1 and columns 0…2 of the picture, padding included",
        "",
        "  0    0    0       1  0  −1         0  0     0",
        "  0  0.6  0.6   ×   2  0  −2   =     0  0  −1.2",
        "0.6    0    0       1  0  −1       0.6  0     0",
        "sum of the products = −0.6",
    ]


def test_the_table_of_the_course():
    kernel = [[1, 0, 1], [0, 1, 0], [1, 0, 1]]
    steps = filter_steps(FIVE, kernel, padding="valid", pool=max_pool(2, strides=1))
    assert steps.output[..., 0].tolist() == [[4, 3, 4], [2, 4, 3], [2, 3, 4]]
    assert steps.pooled[..., 0].tolist() == [[4, 4], [4, 4]]
    assert steps.pool_formula == "n_H = n_W = ⌊(3 − 2 + 2·0) / 1⌋ + 1 = 2"
    assert steps.window((0, 2)).patch[..., 0].tolist() == FIVE[:3, 2:].tolist()


def test_the_three_channels_of_the_course():
    images, kernels = zip(RED, GREEN, BLUE, strict=True)
    image, kernel = np.stack(images, -1).astype(np.uint8), np.stack(kernels, -1)
    steps = filter_steps(image, kernel, bias=1, padding="valid")
    worked = steps.window((0, 0))
    assert worked.sums.tolist() == [308, -498, 164]
    assert worked.values.tolist() == steps.output[0, 0].tolist() == [-25]
    text = str(worked).splitlines()
    assert text[-1] == "output = 308 − 498 + 164 + 1 = −25"
    assert text[6:11] == [
        "",
        "0    0    0       1   0   0       0     0     0",
        "0  167  166   ×   1  −1  −1   =   0  −167  −166",
        "0  164  165       1   0  −1       0     0  −165",
        "green: sum of the products = −498",
    ]


@pytest.mark.parametrize("name", KERNELS)
def test_named_kernels_are_those_of_scipy(name):
    kernel = np.array(KERNELS[name])
    steps = filter_steps(PHOTO, name)
    for channel in range(3):
        plane = PHOTO[..., channel].astype(float)
        expected = scipy.ndimage.correlate(plane, kernel, mode="constant")
        np.testing.assert_allclose(steps.output[..., channel], expected, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("flip", [False, True])
def test_options_are_those_of_scipy(flip):
    kernel = np.random.default_rng(1).normal(size=(4, 3))
    steps = filter_steps(
        PHOTO, kernel, bias=2, strides=(2, 3), padding=((1, 2), (0, 1)), flip_kernel=flip,
        pool=avg_pool(2),
    )  # fmt: skip
    padded = np.pad(PHOTO.astype(float), ((1, 2), (0, 1), (0, 0)))
    apply = scipy.signal.convolve2d if flip else scipy.signal.correlate2d
    expected = np.stack([apply(padded[..., c], kernel, "valid") for c in range(3)], -1) + 2
    expected = expected[::2, ::3]
    np.testing.assert_allclose(steps.output, expected, rtol=1e-4, atol=1e-3)
    pooled = expected[:8, :4].reshape(4, 2, 2, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(steps.pooled, pooled, rtol=1e-4, atol=1e-3)
    for position in [(0, 0), (8, 3), (3, 2)]:
        worked = steps.window(position)
        np.testing.assert_allclose(worked.values, expected[position], rtol=1e-4, atol=1e-3)
    last = str(worked).splitlines()[-1]
    assert last.startswith("blue: output = ")
    assert "+ 2 = " in last


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"kernel": "sobel"}, ValueError, "there is no kernel 'sobel'. Did you mean 'sobel_"),
        (
            {"kernel": [1, 2]},
            ValueError,
            r"kernel must be \(rows, columns\) finite numbers.*\(2,\)",
        ),
        ({"kernel": [[1, 2], [3]]}, ValueError, r"kernel must be .*\[\[1, 2\], \[3\]\]"),
        ({"kernel": np.ones((3, 3, 2))}, ValueError, "with the 3 channels of the picture"),
        ({"kernel": [[np.nan]]}, ValueError, "kernel must be .* finite"),
        (
            {"kernel": np.ones((18, 3)), "padding": 0},
            ValueError,
            r"kernel must fit .* n_H = ⌊\(17 −",
        ),
        ({"kernel": "edges", "pool": conv(3, 3)}, TypeError, "pool must be .*max_pool"),
        ({"kernel": "edges", "pool": max_pool(20)}, ValueError, "window must fit"),
        ({"kernel": "edges", "strides": 0}, ValueError, "strides must be at least 1"),
        ({"kernel": "edges", "padding": "sme"}, ValueError, "padding must be"),
        ({"kernel": "edges", "image": np.ones((4, 4, 2))}, ValueError, "image must be .*1 or 3"),
        ({"kernel": "edges", "image": np.ones((4, 4), int)}, TypeError, "uint8 or floating point"),
    ],
)
def test_errors(options, error, message):
    options = {"image": PHOTO} | options
    with pytest.raises(error, match=message):
        filter_steps(options.pop("image"), options.pop("kernel"), **options)


def test_errors_of_windows():
    steps = filter_steps(LETTER, "sobel_x")
    for window in [(4, 0), (0, -1), (1,), 3]:
        with pytest.raises(ValueError, match=r"the column of an output: 0…3, 0…3\. Received"):
            steps.window(window)
    with pytest.raises(TypeError, match="window must be an integer"):
        steps.window((0.5, 0))


def numbers_of(axes):
    """Return the numbers in the cells; formulas stand above the axes, as annotations."""
    texts = [text for text in axes.texts if not isinstance(text, matplotlib.text.Annotation)]
    return [float(text.get_text().replace("−", "-")) for text in texts]


def test_small_pictures_show_their_numbers():
    steps = filter_steps(LETTER, "sobel_x")
    figure = plots.filtered_picture(steps, window=(1, 1))
    before, kernel, after = (axes for axes in figure.axes if axes.get_label() != "<colorbar>")
    np.testing.assert_allclose(numbers_of(before), LETTER.ravel())
    assert numbers_of(kernel) == [1, 0, -1, 2, 0, -2, 1, 0, -1]
    np.testing.assert_allclose(numbers_of(after), steps.output.ravel(), atol=1e-6)
    (image,) = after.images
    assert image.get_clim() == pytest.approx((-1.2, 1.2))
    assert steps.formula in [text.get_text() for text in after.texts]
    frame = before.patches[0]
    assert (frame.get_xy(), frame.get_width(), frame.get_height()) == ((-0.5, -0.5), 3, 3)


def test_weights_that_add_up_to_one_draw_a_picture():
    _, _, after = plots.filtered_picture(filter_steps(PHOTO, "sharpen")).axes
    drawn = after.images[0].get_array()
    assert drawn.shape == (17, 12, 3)
    assert (drawn.min(), drawn.max()) == (0, 1)
    assert after.get_xlabel() == "clipped to 0…255"


def test_signed_channels_share_a_scale(tmp_path):
    steps = filter_steps(PHOTO, "edges", pool=max_pool(2))
    figure = plots.filtered_picture(steps)
    images = [
        axes.images[0] for axes in figure.axes if axes.get_ylabel() in ("red", "green", "blue")
    ]
    assert len(images) == 6
    assert len({image.get_clim() for image in images}) == 1
    low, high = images[0].get_clim()
    assert -low == high == np.abs(steps.output).max()
    assert images[0].get_cmap().name == matplotlib.colormaps["RdBu_r"].name
    figure.savefig(tmp_path / "edges.svg")
