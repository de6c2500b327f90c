"""Tiles give the prediction of the whole picture where the network sees the same pixels."""

import numpy as np
import pytest
from flax import nnx

import jaxcnn as cnn
from jaxcnn.training import predict, predict_tiles
from jaxcnn.training.tiled_prediction import _parts

# A receptive field of 3 + 2·2 + 2 = 18 positions at most, and a stride of 2.
NETWORK = cnn.serial(
    decoder=cnn.skip_decoder(
        cnn.serial(
            stem=cnn.conv(2, 3, padding=1),
            stage_1=cnn.serial(cnn.max_pool(2), cnn.conv(3, 3, padding=1)),
        ),
        ("stem", "stage_1"),
        (cnn.conv(3, 3, padding=1),),
    ),
)


@pytest.fixture(scope="module")
def model():
    return NETWORK.build((8, 8, 1), rngs=nnx.Rngs(0))


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).integers(0, 256, (2, 44, 62, 1)).astype(np.uint8)


def test_the_result_is_that_of_the_whole_picture(model, pictures, tmp_path):
    whole = predict(model, pictures)
    out = np.lib.format.open_memmap(tmp_path / "o.npy", "w+", np.float32, whole.shape)
    out[...] = 7
    tiled = predict_tiles(model, pictures, tile=(32, 26), overlap=18, margin=9, out=out)
    assert tiled is out
    np.testing.assert_allclose(out, whole, atol=1e-6)
    one = predict_tiles(model, pictures[1], tile=(32, 26), overlap=18, margin=8)
    np.testing.assert_allclose(one, whole[1], atol=1e-6)
    # With too small a margin the padding is seen.
    seen = predict_tiles(model, pictures[1], tile=(32, 26), overlap=18, margin=0)
    assert np.abs(seen - whole[1]).max() > 1e-3
    assert np.abs(seen - whole[1]).mean() < 0.02


def test_tiles_are_blended_linearly():
    """A network that gives the mean of its tile shows the weights."""
    network = cnn.serial(cnn.layers.function(spread_mean))
    model = nnx.view(network.build((8, 8, 1), rngs=nnx.Rngs(0)))
    picture = np.repeat(np.array([0.0, 1.0], np.float32), 6)[None, :, None].repeat(2, 0)
    found = predict_tiles(model, picture, tile=(2, 8), overlap=(0, 4), activation=None, margin=0)
    means = np.array([2 / 8, 6 / 8])
    share = np.clip((np.arange(12) - 4 + 0.5) / 4, 0, 1)
    np.testing.assert_allclose(found[0, :, 0], means[0] * (1 - share) + means[1] * share, atol=1e-6)


def spread_mean(x):
    return x * 0 + x.mean(axis=(1, 2), keepdims=True)


def test_weights_add_up_to_one():
    random = np.random.default_rng(0)
    for _ in range(500):
        size, tile = random.integers(1, 60), random.integers(1, 40)
        overlap = random.integers(0, tile)
        margin = random.integers(0, overlap // 2 + 1)
        total = np.zeros(size)
        for part, weights in _parts(int(size), int(tile), int(overlap), int(margin)):
            assert part.stop - part.start <= tile
            total[part] += weights
            if part.start > 0:
                assert not weights[:margin].any()
            if part.stop < size and margin:
                assert not weights[-margin:].any()
        np.testing.assert_allclose(total, 1, rtol=1e-6)


def test_errors(model, pictures):
    for options, match in (
        ({"tile": 0}, "tile must be at least 1"),
        ({"tile": 8, "overlap": 8}, "overlap must be below tile"),
        ({"overlap": 8, "margin": 5}, "margin must be at most half of overlap"),
        ({"out": np.zeros((3, 3))}, r"out must be .* shape \(44, 62, 3\).*float64 \(3, 3\)"),
    ):
        with pytest.raises(ValueError, match=match):
            predict_tiles(model, pictures[0], **{"tile": 32} | {"overlap": 4} | options)
    with pytest.raises(ValueError, match=r"images must be \(H, W, C\)"):
        predict_tiles(model, pictures[0, ..., 0])
    with pytest.raises(TypeError, match="images must be an array"):
        predict_tiles(model, pictures.tolist())
    classifier = cnn.serial(cnn.layers.global_avg_pool(), cnn.dense(2))
    with pytest.raises(ValueError, match="vector at each position"):
        predict_tiles(
            classifier.build((8, 8, 1), rngs=nnx.Rngs(0)), pictures[0], tile=32, overlap=4
        )
