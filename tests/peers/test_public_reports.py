"""What users reported of other libraries, tried here: each case names its report.

Where a report shows a wrong value, the right one is computed by NumPy, Pillow or PyTorch.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from flax import nnx
from PIL import Image
from sklearn.metrics import f1_score

import jaxcnn as cnn
from jaxcnn import ops
from jaxcnn.training import cross_entropy, f1

# Adam and the schedules of Optax mix dtypes.
pytestmark = pytest.mark.implicit_promotion
RANDOM = np.random.default_rng(0)


def normal(*shape):
    return RANDOM.standard_normal(shape, dtype=np.float32)


def first(x):
    """Return a channels-last array as PyTorch has it."""
    return torch.from_numpy(np.array(np.moveaxis(np.asarray(x), -1, 1)))


def last(x):
    return np.moveaxis(x.detach().numpy(), 1, -1)


def report(*sources):
    """Name the reports that a case is of, as owner/repository#number."""
    return pytest.mark.report(*sources)


@report("CanReader/FastNN#5", "PaddlePaddle/Paddle#51893")
@pytest.mark.parametrize("pool", [ops.avg_pool, ops.max_pool])
@pytest.mark.parametrize(("window", "padding"), [(3, 3), ((1, 3), (1, 3))])
def test_a_window_of_padding_alone_is_refused(pool, window, padding):
    with pytest.raises(ValueError, match="padding must be smaller than the window"):
        pool(jnp.ones((1, 8, 8, 3)), window, padding=padding)


@report("tensorflow/tensorflow#12293")
@pytest.mark.parametrize("window", [5, 7, 10])
def test_average_of_a_large_binary_image(window):
    image = (RANDOM.random((1, 600, 700, 1)) > 0.999).astype(np.float32)
    expected = last(torch.nn.functional.avg_pool2d(first(image), window, 1))
    np.testing.assert_allclose(ops.avg_pool(image, window, strides=1), expected, atol=1e-6)


@report("FluxML/NNlib.jl#133", "FluxML/Flux.jl#1197", "tensorflow/tensorflow#48773")
@pytest.mark.parametrize(
    ("window", "strides", "padding"), [(2, 2, 1), (3, 2, 1), ((1, 3), (1, 2), 0)]
)
@pytest.mark.parametrize("kind", ["max", "avg"])
def test_gradients_of_pools_that_overlap_or_pad(kind, window, strides, padding):
    x = RANDOM.permutation(45).astype(np.float32).reshape(1, 9, 5, 1)
    theirs = first(x).clone().requires_grad_()
    options = {"count_include_pad": False} if kind == "avg" else {}
    pooled = getattr(torch.nn.functional, f"{kind}_pool2d")(
        theirs, window, strides, padding, **options
    )
    g = normal(*last(pooled).shape)
    pooled.backward(first(g))
    ours = getattr(ops, f"{kind}_pool")
    _, back = jax.vjp(lambda x: ours(x, window, strides=strides, padding=padding), jnp.asarray(x))
    np.testing.assert_allclose(back(jnp.asarray(g))[0], last(theirs.grad), atol=1e-6)


@report("tensorflow/tensorflow#10216")
def test_a_largest_value_below_zero_is_not_replaced_by_padding():
    x = jnp.array([[1, -1, 0], [-1, 2, 1], [0, 2, -2.0]])[None, ..., None]
    pooled = ops.max_pool(x, 2, padding="SAME")[0, ..., 0]
    np.testing.assert_array_equal(pooled, [[2, 1], [2, -2]])


@report("google/flax#4593", "FluxML/Flux.jl#2462")
@pytest.mark.parametrize("size", [4, 5, 6, 9])
@pytest.mark.parametrize(
    ("kernel", "strides", "padding"), [(3, 1, 0), (3, 2, 1), (4, 2, 1), (2, 3, 0)]
)
def test_a_transposed_convolution_gives_the_size_back(size, kernel, strides, padding):
    options = {"strides": strides, "padding": padding}
    smaller = cnn.conv(3, kernel, **options).output_shape((size, size, 2))
    sizes = {
        cnn.conv_transpose(2, kernel, output_padding=extra, **options).output_shape(smaller)
        for extra in range(strides)
    }
    assert (size, size, 2) in sizes


@report("jax-ml/jax#11252", "jax-ml/jax#17618", "FluxML/Flux.jl#1319")
def test_transposed_convolutions_of_other_libraries():
    x, kernel = normal(1, 12, 12, 8), normal(4, 4, 8, 3)
    weight = torch.from_numpy(kernel.transpose(2, 3, 0, 1).copy())
    expected = last(torch.nn.functional.conv_transpose2d(first(x), weight, stride=4))
    for padding in ("VALID", 0):
        ours = ops.conv_transpose(x, kernel, strides=4, padding=padding)
        np.testing.assert_allclose(ours, expected, atol=1e-4)
    layer = cnn.conv_transpose(1, 4, strides=2, padding="SAME")
    assert layer.output_shape((32, 32, 32, 1)) == (64, 64, 64, 1)


@report("google/flax#2993")
def test_the_first_convolution_of_a_resnet_takes_pytorchs_weights():
    theirs = torch.nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
    x, kernel = normal(2, 32, 32, 3), theirs.weight.detach().numpy().transpose(2, 3, 1, 0)
    ours = ops.conv(x, kernel, strides=2, padding=3)
    np.testing.assert_allclose(ours, last(theirs(first(x))), atol=1e-5)


@report("pytorch/pytorch#163347", "pytorch/pytorch#68048", "tensorflow/tensorflow#56680")
def test_convolutions_in_bfloat16():
    ones = jnp.ones((1, 2, 2, 1), jnp.bfloat16)
    assert ops.conv(ones, jnp.ones((2, 2, 1, 1), jnp.bfloat16)).item() == 4
    x, kernel = normal(1, 81, 81, 1).astype(jnp.bfloat16), normal(3, 3, 1, 2).astype(jnp.bfloat16)
    bias = jnp.zeros(2, jnp.bfloat16)
    gradient = jax.grad(lambda bias: ops.conv(x, kernel, bias, strides=2).astype(jnp.float32).sum())
    np.testing.assert_array_equal(gradient(bias).astype(jnp.float32), [1600, 1600])
    whole = ops.conv(
        jnp.ones((1, 56, 56, 1), jnp.bfloat16),
        jnp.ones((1, 56, 1, 1), jnp.bfloat16),
        padding="SAME",
    )
    assert whole.shape == (1, 56, 56, 1)


@report("jax-ml/jax#37922")
def test_a_dilated_and_strided_signal_in_bfloat16():
    x, kernel = normal(2, 16, 4), normal(3, 4, 16)
    options = {"strides": 2, "padding": "SAME", "dilation": 2}
    half = ops.conv(x.astype(jnp.bfloat16), kernel.astype(jnp.bfloat16), **options)
    np.testing.assert_allclose(half.astype(np.float32), ops.conv(x, kernel, **options), atol=0.1)


@report("pytorch/pytorch#40302", "pytorch/pytorch#51102", "microsoft/onnxruntime#28463",
        "ml-explore/mlx#2238", "patrick-kidger/equinox#314")  # fmt: skip
@pytest.mark.parametrize(
    ("mean", "deviation"), [(100, 0.01), (2000, 1), (40_000, 1), (1449.5, 0.5)]
)
@pytest.mark.parametrize("layer", [cnn.layer_norm(), cnn.group_norm(1), cnn.instance_norm()])
def test_norms_of_values_far_from_zero(layer, mean, deviation):
    x = (normal(3, 16, 64) * deviation + mean).astype(np.float32)
    axes = {"layer_norm": -1, "group_norm": (1, 2), "instance_norm": 1}[layer.kind]
    exact = x.astype(np.float64)
    centered = exact - exact.mean(axes, keepdims=True)
    variance = (centered**2).mean(axes, keepdims=True)
    expected = centered / np.sqrt(variance + layer.epsilon)
    ours = layer.build(x.shape[1:], rngs=nnx.Rngs(0))(x)
    # Numbers near 40,000 are 0.004 apart; PyTorch is as exact.
    np.testing.assert_allclose(ours, expected, atol=0.02)


@report("BVLC/caffe#3963", "pytorch/pytorch#98075")
@pytest.mark.parametrize("value", [0.1, 100.0, 12_345.6])
def test_norms_of_a_constant(value):
    x = jnp.full((4, 3, 3, 2), value)
    mean, variance = ops.batch_moments(x)
    normalized = ops.batch_norm(x, jnp.full(2, 1e3), jnp.full(2, -1.0), mean, variance)
    # The mean is exact to one rounding, which the scale by 1e3 and 1/√ε makes visible.
    rounding = 1e3 * np.spacing(np.float32(value)) / np.sqrt(1e-5)
    np.testing.assert_allclose(normalized, -1, atol=1.01 * rounding)


@report("pytorch/pytorch#22617")
def test_the_variance_of_a_group_is_divided_by_the_count():
    x = RANDOM.random((1, 5, 1), dtype=np.float32)
    ours = cnn.group_norm(1).build((5, 1), rngs=nnx.Rngs(0))(x)
    expected = (x - x.mean()) / np.sqrt(x.var() + cnn.group_norm(1).epsilon)
    np.testing.assert_allclose(ours, expected, rtol=1e-5)


@report("flagos-ai/FlagGems#4915", "pytorch/pytorch#81409")
@pytest.mark.parametrize(
    ("size", "output"), [((10, 10), (3, 3)), ((224, 30), (13, 7)), ((587, 369), (285, 1))]
)
def test_adaptive_pools_of_sizes_that_do_not_divide(size, output):
    x = normal(1, *size, 2)
    expected = last(torch.nn.functional.adaptive_avg_pool2d(first(x), output))
    np.testing.assert_allclose(ops.adaptive_avg_pool(x, output), expected, atol=1e-5)


@report(
    "pytorch/pytorch#42509",
    "pytorch/pytorch#70488",
    "pytorch/pytorch#83062",
    "keras-team/keras#19013",
)
def test_sizes_that_no_pool_has():
    x = jnp.ones((1, 4, 4, 2))
    for output in ((), (-1, 2), 0, (2, 2, 2)):
        with pytest.raises(ValueError, match="output_size"):
            ops.adaptive_avg_pool(x, output)
    with pytest.raises(ValueError, match="window must be at least 1"):
        cnn.avg_pool(-5)


@report("pytorch/vision#2950", "pytorch/vision#7671", "keras-team/keras#7975")
@pytest.mark.parametrize(("size", "output"), [((330, 163), (112, 231)), ((941, 941), (10, 10))])
def test_a_smaller_picture_is_that_of_pillow(size, output):
    pixels = RANDOM.integers(0, 256, size, dtype=np.uint8)
    expected = Image.fromarray(pixels.astype(np.float32)).resize(
        output[::-1], Image.Resampling.BILINEAR
    )
    ours = ops.resize(jnp.asarray(pixels, jnp.float32)[None, ..., None], output)
    np.testing.assert_allclose(ours[0, ..., 0], np.asarray(expected), atol=0.05)
    stored = cnn.Dataset(pixels[None, ..., None], np.zeros(1, int), ("a", "b")).resize(output)
    assert np.abs(stored.images[0, ..., 0].astype(float) - np.asarray(expected)).max() <= 1


@report("python-pillow/Pillow#7184", "pytorch/pytorch#90771")
def test_cubic_values_beyond_the_range_of_pixels_are_kept():
    edge = np.repeat([0.0, 255.0], 8)[None, :, None].astype(np.float32)
    resized = ops.resize(jnp.asarray(edge), 40, method="cubic")
    assert resized.min() < 0  # no clipping between the axes
    assert resized.max() > 255


@report("huggingface/pytorch-image-models#1040", "pytorch/vision#4907")
def test_label_smoothing_is_pytorchs():
    logits, labels = normal(6, 4), RANDOM.integers(0, 4, 6)
    expected = torch.nn.functional.cross_entropy(
        torch.from_numpy(logits), torch.from_numpy(labels), label_smoothing=0.1, reduction="none"
    )
    ours = cross_entropy(jnp.asarray(logits), jnp.asarray(labels), label_smoothing=0.1)
    np.testing.assert_allclose(ours, expected.numpy(), rtol=1e-5)


@report("facebookresearch/deit#91", "Megvii-BaseDetection/YOLOX#275", "timeseriesAI/tsai#791")
@pytest.mark.parametrize("mix", [cnn.augment.cutmix, cnn.augment.mixup])
def test_mixing_mixes_labels_and_leaves_the_data_alone(mix):
    images = RANDOM.random((8, 6, 6, 1), dtype=np.float32)
    shares = np.eye(3, dtype=np.float32)[np.arange(8) % 3]
    kept = images.copy(), shares.copy()
    mixed, labels = mix(jax.random.key(1), jnp.asarray(images), jnp.asarray(shares))
    np.testing.assert_array_equal(images, kept[0])
    np.testing.assert_array_equal(shares, kept[1])
    np.testing.assert_allclose(labels.sum(-1), 1, rtol=1e-6)
    assert ((labels > 0).sum(-1) > 1).any()
    assert not np.array_equal(mixed, images)


@report("xingyizhou/CenterNet#233", "pytorch/pytorch#5059", "Lightning-AI/pytorch-lightning#20412")
def test_each_image_and_each_epoch_is_augmented_anew(monkeypatch):
    seen = []

    def remember(key, images):
        flipped = cnn.augment.random_shift(key, images, pixels=3)
        jax.debug.callback(lambda x: seen.append(np.asarray(x)), flipped)
        return flipped

    images = np.tile(RANDOM.random((1, 8, 8, 1), dtype=np.float32), (32, 1, 1, 1))
    data = cnn.Dataset(images, np.arange(32) % 2)
    model = cnn.serial(cnn.flatten(), cnn.dense(2)).build((8, 8, 1), rngs=nnx.Rngs(0))
    cnn.fit(
        model, data, epochs=2, batch_size=32, augment=cnn.augment.in_place(remember), progress=False
    )
    jax.effects_barrier()
    first_epoch, second_epoch = seen[-2:]
    assert len(np.unique(first_epoch.reshape(32, -1), axis=0)) > 10
    assert not np.array_equal(first_epoch, second_epoch)


@report("huggingface/trl#2175", "meta-pytorch/torchtune#1875", "karpathy/nanoGPT#206")
def test_accumulated_gradients_are_those_of_the_whole_batch():
    images = RANDOM.random((12, 4, 4, 1), dtype=np.float32)
    labels = RANDOM.integers(0, 3, (12, 4, 4)).astype(np.uint8)
    labels[:6, 1:] = 255  # half of the images count at a quarter of their positions
    data = cnn.Dataset(images, labels, ("a", "b", "c"))
    model = cnn.conv(3, 3, padding="SAME").build((4, 4, 1), rngs=nnx.Rngs(0))
    options = {"epochs": 1, "batch_size": 12, "optimizer": optax.sgd(1.0), "progress": False}
    whole, parts = (cnn.fit(model, data, accumulate=n, **options).model for n in (1, 4))
    np.testing.assert_allclose(parts.kernel[...], whole.kernel[...], atol=1e-6)


@report(
    "Lightning-AI/torchmetrics#403",
    "Lightning-AI/torchmetrics#300",
    "Lightning-AI/pytorch-lightning#4187",
)
def test_the_mean_of_f1_leaves_out_classes_that_do_not_occur():
    predicted, labels = np.array([7, 7, 8, 7]), np.array([8, 10, 5, 2])
    logits = np.eye(11, dtype=np.float32)[predicted]

    def of(logits, labels):
        metric = f1(macro=True)
        return metric.result(metric.measure(jnp.asarray(logits), jnp.asarray(labels), labels >= 0))

    assert of(logits, labels) == pytest.approx(f1_score(labels, predicted, average="macro"))
    assert of(np.eye(2, dtype=np.float32)[[0, 0]], np.array([0, 0])) == 1


@report("keras-team/keras#12511", "tensorflow/tensorflow#35634", "keras-team/keras#20323")
def test_the_best_weights_are_restored_where_the_training_ends_by_itself():
    images = RANDOM.random((64, 4, 4, 1), dtype=np.float32)
    data = cnn.Dataset(images, RANDOM.integers(0, 2, 64))
    model = cnn.serial(cnn.flatten(), cnn.dense(2)).build((4, 4, 1), rngs=nnx.Rngs(0))
    result = cnn.fit(
        model, data.take(slice(0, 32)), validation=data.take(slice(32, 64)), epochs=6,
        batch_size=32, optimizer=optax.sgd(3.0), patience=50, restore_best=True, progress=False,
    )  # fmt: skip
    losses = [row.validation_loss for row in result.history]
    assert min(losses) < losses[-1]  # or the test shows nothing
    again = cnn.evaluate(result.model, data.take(slice(32, 64)))
    assert again.loss == pytest.approx(min(losses), rel=1e-5)


@report("keras-team/keras#12400", "tensorflow/tensorflow#33090", "tensorflow/tensorflow#44568")
def test_a_network_with_batch_norm_knows_the_images_that_it_was_trained_on():
    images = RANDOM.random((16, 8, 8, 1), dtype=np.float32)
    data = cnn.Dataset(images, np.arange(16) % 4)
    network = cnn.serial(cnn.conv(8, 3), cnn.batch_norm(), jax.nn.relu, cnn.flatten(), cnn.dense(4))
    model = network.build((8, 8, 1), rngs=nnx.Rngs(0))
    result = cnn.fit(model, data, epochs=80, batch_size=16, learning_rate=0.01, progress=False)
    evaluation = cnn.evaluate(result.model, data)
    assert (result.history[-1].accuracy, evaluation.accuracy) == (1, 1)
    assert evaluation.loss < 0.1
    alone = np.concatenate([cnn.predict(result.model, images[n : n + 1]) for n in range(16)])
    np.testing.assert_allclose(alone, cnn.predict(result.model, images), atol=1e-5)


@report("pytorch/vision#714", "keras-team/keras#3054", "tensorflow/tensorflow#50124",
        "abhi8893/tensorflow-deep-learning-mrdbourke#49")  # fmt: skip
@pytest.mark.parametrize(
    ("made", "order"),
    [
        (["10", "2", "1", "100"], ("1", "2", "10", "100")),
        (["0010", "0002", "0001"], ("0001", "0002", "0010")),
        (["steak", "pizza"], ("pizza", "steak")),
        (["cats", "horses", "dogs", "humans"], ("cats", "dogs", "horses", "humans")),
    ],
)
def test_classes_are_in_the_order_of_their_names(tmp_path, made, order):
    for number, name in enumerate(made):
        folder = tmp_path / name
        folder.mkdir()
        for copy in range(2):
            Image.new("L", (4, 4), 20 * number).save(folder / f"{copy}.png")
    data = cnn.data.load(tmp_path, image_size=4, split="all")
    assert data.class_names == order
    for image, label in zip(data.images, data.labels, strict=True):
        assert made[image[0, 0, 0] // 20] == order[label]


@report("pytorch/vision#3012", "nothings/stb#128", "tensorflow/datasets#590")
def test_a_picture_in_the_colors_of_print(tmp_path):
    for name, color in {"red": (250, 10, 10), "blue": (10, 10, 250)}.items():
        (tmp_path / name).mkdir()
        for copy in range(2):
            picture = Image.new("RGB", (16, 16), color).convert("CMYK")
            picture.save(tmp_path / name / f"{copy}.jpg", quality=95)
    data = cnn.data.load(tmp_path, image_size=16, split="all")
    for image, label in zip(data.images, data.labels, strict=True):
        expected = {"red": (250, 10, 10), "blue": (10, 10, 250)}[data.class_names[label]]
        np.testing.assert_allclose(image.mean((0, 1)), expected, atol=8)


@report("KaiyangZhou/deep-person-reid#270", "chainer/chainermn#225", "lightly-ai/lightly-train#301",
        "mlbench/mlbench-old#50")  # fmt: skip
def test_a_resumed_training_goes_on_with_its_learning_rate(tmp_path):
    data = cnn.Dataset(RANDOM.random((32, 4, 4, 1), dtype=np.float32), np.arange(32) % 2)
    network = cnn.serial(cnn.flatten(), cnn.dense(2))

    def train(folder, stop=None):
        def callback(event):
            if isinstance(event, cnn.training.EpochEnded) and len(event.history) == stop:
                raise KeyboardInterrupt

        model = network.build((4, 4, 1), rngs=nnx.Rngs(0))
        schedule = cnn.training.make_schedule("cosine", peak=0.1, steps=8, warmup_steps=2)
        return cnn.fit(
            model, data, epochs=4, batch_size=16, learning_rate=schedule, run=folder,
            callbacks=[callback], progress=False,
        )  # fmt: skip

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "stopped", stop=2)
    resumed, whole = train(tmp_path / "stopped"), train(tmp_path / "whole")
    rates = [row.learning_rate for row in resumed.history]
    assert rates == [row.learning_rate for row in whole.history]
    assert len(set(rates)) == 4
    np.testing.assert_array_equal(
        resumed.model.dense_1.kernel[...], whole.model.dense_1.kernel[...]
    )
