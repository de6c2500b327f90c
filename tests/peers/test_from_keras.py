"""Models of Keras and what they are here: the same outputs, parameters and refusals."""

import subprocess
import sys
from collections import Counter

import jax
import keras
import numpy as np
import pytest
from flax import nnx
from keras import layers as kl

import jaxcnn as cnn
from jaxcnn.interchange.keras_layers import CONVERTERS, LEFT_OUT

pytestmark = [
    pytest.mark.implicit_promotion,  # Keras's layers, and the norms of Flax
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # saving
]


def fill(model):
    """Give a model arrays of which every number matters, running statistics included."""
    rng = np.random.default_rng(0)
    for variable in model.weights:
        if variable.name in ("moving_variance", "variance", "gamma", "scale"):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
        elif len(variable.shape) < 2 and variable.dtype == "float32":
            variable.assign(rng.normal(0, 0.2, variable.shape))
    return model


def count(network):
    """The numbers in all arrays, as Keras's ``count_params`` has them."""
    return sum(array.size for array in network.weights({}).values())


def noise(shape):
    return np.random.default_rng(1).uniform(-1, 2, (2, *shape)).astype(np.float32)


def compare(models, tolerance=1e-5, images=noise, spread=1e-3):
    """Convert models and compare their outputs with Keras's, all in one program."""
    networks = [cnn.interchange.from_keras(model) for model in models]
    shapes = [model.input_shape[1:] for model in models]
    inputs = [images(shape) for shape in shapes]
    pairs = zip(networks, shapes, strict=True)
    modules = [network.build(shape, rngs=nnx.Rngs(0)) for network, shape in pairs]

    @nnx.jit
    def run(modules, inputs):
        ours = [module(x) for module, x in zip(modules, inputs, strict=True)]
        return ours, [model(x, training=False) for model, x in zip(models, inputs, strict=True)]

    outputs = zip(*run(modules, inputs), networks, models, strict=True)
    for ours, theirs, network, model in outputs:
        assert ours.shape[1:] == network.output_shape(model.input_shape[1:])
        assert np.isfinite(theirs).all()
        scale = np.abs(theirs).max()
        assert np.ptp(theirs, axis=0).max() > spread * scale, "they hardly depend on the images"
        bound = tolerance * scale
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=bound, err_msg=model.name)
    return networks


def test_table_has_keras_names():
    names = {name for name in CONVERTERS if not name.startswith("ops.")}
    assert {name for name in names if not hasattr(kl, name)} == {"LayerScale", "StochasticDepth"}


def in_a_row(shape, *layers):
    return keras.Sequential([keras.Input(shape), *layers])


def test_listing_of_the_course():
    """Deck: the letters network, whose table and parameters are those of the zoo's."""
    listing = in_a_row(
        (128, 128, 1),
        kl.Conv2D(16, 3, strides=2, padding="same", activation="relu"),
        kl.MaxPooling2D(2),
        kl.Flatten(),
        kl.Dense(512, activation="relu"),
        kl.Dense(26, activation="softmax"),
    )
    (network,) = compare([fill(listing)])
    ours = cnn.models.create("letters_cnn")
    assert network.body == cnn.serial(*dict(ours.children).values(), jax.nn.softmax)
    assert str(cnn.summarize(network, (128, 128, 1))).count("8,402,618") == 2
    arrays = network.weights({})
    counts = [int(layer.count_params()) for layer in listing.layers if layer.weights]
    pairs = [arrays[f"{name}.kernel"].size + arrays[f"{name}.bias"].size for name in LETTERS]
    assert pairs == counts == [160, 8_389_120, 13_338]


LETTERS = ("conv_1", "dense_1", "dense_2")


def per_axes(name, axes):
    return getattr(kl, name.format(axes))


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_layers_with_spatial_axes(axes):
    def layer(name, *arguments, **options):
        return in_a_row((*(7, 6, 5)[:axes], 4), per_axes(name, axes)(*arguments, **options))

    pairs = [(1, 2), (2, 0), (0, 1)][:axes]
    models = [
        layer("Conv{}D", 6, 3, padding="same", strides=2, groups=2, activation="silu"),
        layer("Conv{}D", 5, 2, dilation_rate=2, use_bias=False),
        layer("Conv{}DTranspose", 5, 3, strides=2, padding="same", activation="tanh"),
        layer("Conv{}DTranspose", 5, 2, strides=3),
        layer("Conv{}DTranspose", 3, 3, strides=2, padding="same", output_padding=0),
        layer("MaxPooling{}D", 3, strides=2, padding="same"),
        layer("MaxPooling{}D", tuple(range(1, axes + 1))),
        layer("AveragePooling{}D", 3, strides=2, padding="same"),
        layer("GlobalMaxPooling{}D", keepdims=True),
        layer("GlobalAveragePooling{}D"),
        layer("AdaptiveMaxPooling{}D", 3),
        layer("AdaptiveAveragePooling{}D", 2),
        layer("ZeroPadding{}D", pairs if axes > 1 else pairs[0]),
        layer("Cropping{}D", pairs if axes > 1 else pairs[0]),
        layer("UpSampling{}D", 2),
        layer("SpatialDropout{}D", 0.3),
        layer("PReLU", alpha_initializer="ones", shared_axes=list(range(1, axes + 1))),
        layer("BatchNormalization", axis=axes + 1, epsilon=0.01, scale=False),
        layer("LayerNormalization", center=False),
        layer("GroupNormalization", 2),
        layer("GroupNormalization", -1),
        layer("Dense", 3, activation="sigmoid"),
        layer("Permute", tuple(range(axes + 1, 0, -1))),
        layer("Reshape", (2, -1)),
        layer("Flatten"),
    ]
    if axes == 1:
        models.append(layer("Conv{}D", 3, 3, padding="causal", dilation_rate=2))
    if axes < 3:
        models += [
            layer("DepthwiseConv{}D", 3, depth_multiplier=2, padding="same", activation="relu6"),
            layer("SeparableConv{}D", 5, 3, depth_multiplier=2, strides=2, activation="elu"),
        ]
    if axes == 2:
        models += [layer("UpSampling{}D", (2, 3), interpolation=word) for word in WORDS]
        models += [layer("Resizing", 11, 4, interpolation=word) for word in ("nearest", *WORDS)]
    networks = compare([fill(model) for model in models])
    for network, model in zip(networks, models, strict=True):
        assert count(network) == model.count_params()


WORDS = ("bilinear", "bicubic", "lanczos3")

# Those of keras.activations that JAX does not have.
WITHOUT = {"hard_shrink", "soft_shrink", "sparsemax", "tanh_shrink", "threshold"}


def test_layers_without_spatial_axes():
    names = {name for name, value in vars(keras.activations).items() if callable(value)}
    names -= WITHOUT | {"get", "serialize", "deserialize"}
    normalization = kl.Normalization()
    normalization.adapt(np.random.default_rng(0).normal(3, 2, (100, 4)))
    relus = [kl.ReLU(), kl.ReLU(6), kl.ReLU(1.5), kl.ReLU(negative_slope=0.1), kl.LeakyReLU(0.2)]
    single = [
        *relus,
        *[kl.Activation(name) for name in sorted(names)],
        kl.ELU(0.5), kl.PReLU("ones"), kl.Softmax(),
        kl.Dense(3, activation=kl.LeakyReLU()), kl.Dense(3, use_bias=False),
        kl.BatchNormalization(momentum=0.8), kl.LayerNormalization(), kl.RMSNormalization(),
        kl.Rescaling(1 / 127.5, offset=-1), kl.Rescaling([1.0, 2.0, 3.0, 4.0]),
        normalization, kl.Normalization(mean=1.0, variance=4.0),
        kl.Normalization(axis=None, mean=2.0, variance=9.0),
        kl.Dropout(0.5), kl.Dropout(0.5, noise_shape=(None, 1)), kl.Identity(), kl.Flatten(),
        kl.ActivityRegularization(0.1), kl.Reshape((2, 2)), kl.Reshape((4,)),
    ]  # fmt: skip
    networks = compare([fill(in_a_row((4,), layer)) for layer in single])
    assert networks[0].body == cnn.serial(jax.nn.relu)
    assert networks[1].body == cnn.serial(jax.nn.relu6)
    assert [name for name, _ in networks[3].body.children] == ["leaky_relu_1"]
    # Training drops what Keras's would: values, or whole examples.
    layers = [network.body.children[0][1] for network in networks]
    assert cnn.dropout(0.5) in layers
    assert cnn.drop_path(0.5) in layers
    assert cnn.batch_norm(momentum=0.8, epsilon=1e-3) in layers


@pytest.mark.filterwarnings("ignore:Explicitly requested dtype int64:UserWarning")  # of MixUp
def test_random_layers_are_left_out():
    """Each of them is the identity at inference; the warning names them."""
    arguments = {"RandomPosterization": (4,), "RandomTranslation": (0.1, 0.1)}
    arguments |= dict.fromkeys(("RandomFlip", "RandAugment", "AugMix", "CutMix", "MixUp"), ())
    random = [getattr(kl, name)(*arguments.get(name, (0.2,))) for name in sorted(LEFT_OUT)]
    model = in_a_row((8, 8, 3), keras.Sequential(random), kl.GaussianNoise(0.1), kl.Conv2D(4, 3))
    with pytest.warns(UserWarning, match=r"left out.*'?random_flip\w* \(RandomFlip\).*Gaussian"):
        network = cnn.interchange.from_keras(model)
    assert network.body == cnn.serial(cnn.conv(4, 3))
    x = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 3)).astype(np.float32)
    for layer in random:
        np.testing.assert_array_equal(layer(x, training=False), x, err_msg=layer.name)


def conv_norm(x, features, size=3, **options):
    x = kl.Conv2D(features, size, padding="same", use_bias=False, **options)(x)
    return kl.BatchNormalization()(x)


def resnet_like(x):
    y = kl.ReLU()(conv_norm(x, 4))
    x = kl.ReLU()(kl.Add()([x, conv_norm(y, 4)]))  # the input is added
    y = conv_norm(kl.ReLU()(conv_norm(x, 8, strides=2)), 8)
    return kl.ReLU()(kl.add([conv_norm(x, 8, 1, strides=2), y]))  # a projection


def inception_like(x):
    pooled = kl.Conv2D(3, 1)(kl.MaxPooling2D(3, 1, padding="same")(x))
    wide = kl.Conv2D(4, 3, padding="same", activation="relu")(kl.Conv2D(2, 1)(x))
    y = kl.Concatenate()([kl.Conv2D(2, 1)(x), wide, pooled])
    return kl.Average()([y, kl.Conv2D(9, 1)(y), kl.Conv2D(9, 3, padding="same")(y)])


def squeeze_excite_like(x):
    s = kl.Reshape((1, 1, 4))(kl.GlobalAveragePooling2D()(x))
    s = kl.Dense(4, activation="hard_sigmoid")(kl.Dense(2, activation="relu")(s))
    x = kl.Multiply()([x, s])
    return keras.ops.relu6(x + 3.0) * (1 / 6) - kl.Subtract()([x, kl.Conv2D(4, 1)(x)]) / 2.0


def densenet_like(x):
    for _ in range(3):
        x = kl.Concatenate(axis=3)([x, kl.Conv2D(3, 3, padding="same")(kl.ReLU()(x))])
    return kl.GlobalAveragePooling2D()(x)


def unet_like(x):
    first = kl.Conv2D(4, 3, padding="same", activation="relu")(x)
    second = kl.Conv2D(8, 3, padding="same", activation="relu")(kl.MaxPooling2D(2)(first))
    deepest = kl.Conv2D(8, 3, padding="same", activation="relu")(kl.MaxPooling2D(2)(second))
    up = kl.Concatenate()([kl.UpSampling2D(2)(deepest), second])
    up = kl.Conv2DTranspose(4, 2, strides=2)(kl.Conv2D(4, 3, padding="same")(up))
    return kl.Conv2D(1, 1, activation="sigmoid")(kl.Concatenate()([up, first]))


def nested(x):
    stem = keras.Sequential([kl.Conv2D(4, 3), kl.ReLU()], name="stem")
    inside = keras.Input((6, 6, 4))
    block = keras.Model(inside, kl.Add()([inside, kl.Conv2D(4, 1)(inside)]))
    relu = kl.ReLU()  # called twice: it has no weights to share
    return relu(kl.BatchNormalization()(relu(block(stem(x))), training=False))


GRAPHS = [resnet_like, inception_like, squeeze_excite_like, densenet_like, unet_like, nested]


def test_graphs():
    x = keras.Input((8, 8, 4))
    models = [keras.Model(x, graph(x), name=graph.__name__) for graph in GRAPHS]
    networks = compare([fill(model) for model in models])
    for network, model in zip(networks, models, strict=True):
        assert count(network) == model.count_params()
    names = {
        name: list(dict(network.body.children))
        for name, network in zip(GRAPHS, networks, strict=True)
    }
    assert names[resnet_like] == ["residual_1", "relu_1", "residual_2", "relu_2"]
    assert names[nested] == ["serial_1", "serial_2", "relu_1", "batch_norm_1", "relu_2"]
    block = dict(networks[0].body.children)["residual_2"]
    conv = {"use_bias": False, "padding": "SAME"}
    norm = cnn.batch_norm(epsilon=1e-3, momentum=0.99)
    shortcut = cnn.serial(cnn.conv(8, 1, strides=2, **conv), norm)
    body = [cnn.conv(8, 3, strides=2, **conv), norm, jax.nn.relu, cnn.conv(8, 3, **conv), norm]
    assert block == cnn.residual(cnn.serial(*body), shortcut)


def test_of_a_file_and_saved_again_without_keras(tmp_path):
    x = keras.Input((16, 16, 4))
    y = kl.Activation("gelu")(nested_free(x))
    model = fill(keras.Model(x, kl.Dense(3)(kl.Reshape((-1, 4))(y))))
    model.compile("adam", "mse")
    path = tmp_path / "model.keras"
    model.save(path)
    network = cnn.interchange.from_keras(path)
    assert network == cnn.interchange.from_keras(model)
    assert network == cnn.interchange.from_keras(str(path))
    built = network.build((16, 16, 4), rngs=nnx.Rngs(0))
    cnn.save(built, tmp_path / "model.safetensors")
    images = np.random.default_rng(2).normal(0, 1, (2, 16, 16, 4)).astype(np.float32)
    np.save(tmp_path / "images.npy", images)
    program = (
        "import sys, numpy, jaxcnn as cnn; sys.modules['keras'] = None;"
        "outputs = cnn.load('model.safetensors')(numpy.load('images.npy'));"
        "numpy.save('outputs.npy', outputs)"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    outputs = np.load(tmp_path / "outputs.npy")
    np.testing.assert_allclose(outputs, model(images, training=False), atol=1e-5)


def nested_free(x):
    x = kl.Add()([x, kl.SeparableConv2D(4, 3, padding="same")(x)])
    return kl.ReLU(2.0)(kl.LeakyReLU()(x))


@keras.saving.register_keras_serializable("ours")
class Doubled(kl.Layer):
    """A layer of somebody's own."""

    def call(self, x):
        return 2 * x


class Subclassed(keras.Model):
    def call(self, x):
        return x


def after(layer, shape=(8, 8, 4)):
    return keras.Sequential([keras.Input(shape), kl.Conv2D(4, 3, name="first"), layer], name="net")


def sharing():
    x, conv = keras.Input((8, 8, 4)), kl.Conv2D(4, 1, name="shared")
    return keras.Model(x, conv(conv(x)), name="net")


def braided():
    x = keras.Input((8, 8, 4))
    a, b = kl.Conv2D(4, 1, name="a")(x), kl.Conv2D(4, 1, name="b")(x)
    c = kl.Concatenate(name="c")([a, b])
    return keras.Model(x, kl.Concatenate(name="d")([c, kl.Conv2D(4, 1)(b)]), name="net")


def joined(join, one=(8, 8, 4), **options):
    x = keras.Input((8, 8, 4))
    y = getattr(kl, join)(name="join", **options)(
        [x, kl.Resizing(*one[:2])(kl.Conv2D(one[2], 1)(x))]
    )
    return keras.Model(x, y, name="net")


def of_tensors(function):
    x = keras.Input((8, 8, 4))
    return keras.Model(x, function(x), name="net")


def two_inputs():
    x, y = keras.Input((4,)), keras.Input((4,))
    return keras.Model([x, y], kl.Add()([x, y]), name="net")


REFUSED = [
    (lambda: after(kl.Lambda(lambda x: x, name="f")), r"net/f \(Lambda\): a Lambda holds a"),
    (lambda: after(Doubled(name="own")), r"net/own \(Doubled\): no layer here computes"),
    (lambda: after(keras.Sequential([kl.UnitNormalization(name="u")], name="in")),
     r"net/in/u \(UnitNormalization\): no layer here"),
    (lambda: after(kl.Activation("soft_shrink", name="a")), r"a \(Activation\): activation"),
    (lambda: after(kl.Conv2D(4, 1, activation="tanh_shrink", name="a")), r"Conv2D\): activat"),
    (lambda: after(kl.MaxPooling2D(2, data_format="channels_first")), "data_format must be"),
    (lambda: after(kl.Conv2D(4, 1, dtype="mixed_bfloat16")), "compute_dtype must be 'float3"),
    (lambda: after(kl.BatchNormalization(axis=1)), "axis must be the last, that of the chan"),
    (lambda: after(kl.BatchNormalization(renorm=True)), "renorm must be False"),
    (lambda: after(kl.LayerNormalization(axis=[1, 2, 3])), "axis must be the last"),
    (lambda: after(kl.Softmax(axis=1)), "axis must be the last"),
    (lambda: after(kl.PReLU()), "shared_axes must be all spatial axes"),
    (lambda: after(kl.ReLU(threshold=1.0)), "threshold must be 0"),
    (lambda: after(kl.ReLU(6.0, negative_slope=0.1)), "negative_slope must be 0"),
    (lambda: after(kl.Dropout(0.1, noise_shape=(None, 1, 1, 4))), "noise_shape must be None"),
    (lambda: after(kl.Resizing(4, 4, crop_to_aspect_ratio=True)), "crop_to_aspect_ratio must"),
    (lambda: after(kl.Rescaling(-1.0)), "scale must be above 0"),
    (lambda: after(kl.Normalization(axis=1, mean=[1.0] * 6, variance=[1.0] * 6)), "axis must"),
    (lambda: after(kl.Normalization(mean=1.0, variance=1.0, invert=True)), "invert must be F"),
    (lambda: after(kl.Conv2DTranspose(4, 2, 2, "same", output_padding=1)), "output_padding mu"),
    (lambda: after(kl.Reshape((-1, 2, 2)), (None, 8, 4)), "the sizes must be known"),
    (lambda: joined("Maximum"), r"net/join \(Maximum\): no layer here"),
    (lambda: joined("Concatenate", axis=1), r"net/join \(Concatenate\): axis must be the last"),
    (lambda: joined("Add", (1, 1, 4)), r"net/join \(Add\): the inputs must have the same shape"),
    (lambda: of_tensors(lambda x: x * -1.0), "scale must be above 0"),
    (lambda: of_tensors(lambda x: 1.0 - x), "numbers can be added, subtracted"),
    (lambda: of_tensors(lambda x: x * np.ones((8, 1))), "one number or one per channel"),
    (lambda: of_tensors(lambda x: x / kl.ReLU()(x)), "only one tensor can be read"),
    (lambda: of_tensors(lambda x: [x, kl.ReLU()(x)]), "net: a model must have one tensor as outp"),
    (two_inputs, "net: a model must have one tensor as inputs. Received: 2"),
    (sharing, r"net/shared \(Conv2D\): a layer with weights must be called once"),
    (braided, "net: b: its output is read in branches that are joined at different layers"),
    (lambda: keras.Sequential([kl.Dense(3)], name="net"), r"net: the input's shape must be known"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_refusals(make, message):
    with pytest.raises(ValueError, match=message):
        cnn.interchange.from_keras(make())


def test_refuses_what_is_no_composition():
    for wrong in (Subclassed(), kl.Dense(3), keras.Model, 3):
        with pytest.raises(TypeError, match=r"model must be a keras.Sequential or functional"):
            cnn.interchange.from_keras(wrong)


def test_refuses_files(tmp_path, monkeypatch):
    """Before anything of a file is made or run."""
    monkeypatch.setattr(keras.saving, "load_model", None)
    refused = [after(layer) for layer in (kl.Lambda(abs, name="f"), Doubled(name="own"))]
    messages = r"/f \(Lambda\): a Lambda holds a program", r"/own \(Doubled\): no layer here"
    for model, message in zip(refused, messages, strict=True):
        model.save(tmp_path / "model.keras")
        with pytest.raises(ValueError, match=message):
            cnn.interchange.from_keras(tmp_path / "model.keras")


def application(name, size=224, **options):
    return getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3), **options)


@pytest.mark.parametrize(
    ("name", "children"),
    [
        ("ResNet50", {"residual": 16, "relu": 17, "batch_norm": 1, "softmax": 1}),
        ("VGG16", {"conv": 13, "relu": 15, "max_pool": 5, "dense": 3, "softmax": 1}),
        ("MobileNetV2", {"residual": 10, "relu6": 15, "depthwise": 7, "dense": 1}),
    ],
)
def test_structure_of_applications(name, children):
    model = application(name, 64)  # smaller dense layers of VGG16
    network = cnn.interchange.from_keras(model)
    assert network.output_shape((64, 64, 3)) == model.output_shape[1:] == (1000,)
    assert count(network) == model.count_params()
    kinds = Counter(layer.kind for _, layer in network.body.children)
    assert {kind: kinds[kind] for kind in children} == children


def photographs(shape):
    """Smooth images of 0…255, as different as photographs are."""
    patches = np.random.default_rng(2).uniform(0, 255, (2, 7, 7, 3)).astype(np.float32)
    return patches.repeat(shape[0] // 7, axis=1).repeat(shape[1] // 7, axis=2)


def calibrate(model, images):
    """Give batch normalizations the statistics of a batch, else deep networks ignore the image."""
    norms = [layer for layer in model.layers if isinstance(layer, kl.BatchNormalization)]
    momentum = {layer.momentum for layer in norms}
    for layer in norms:
        layer.momentum = 0.0
    variables = model.trainable_variables, model.non_trainable_variables
    values = [[variable.value for variable in group] for group in variables]
    run = jax.jit(lambda values: model.stateless_call(*values, images, training=True)[1])
    for variable, value in zip(variables[1], run(values), strict=True):
        variable.assign(value)
    for layer in norms:
        (layer.momentum,) = momentum
    return model


@pytest.mark.long
@pytest.mark.parametrize(
    "name",
    [
        "ResNet50",
        "VGG16",
        "MobileNetV2",
        "MobileNetV3Small",
        "EfficientNetB0",
        "DenseNet121",
        "ConvNeXtTiny",
        "InceptionV3",
        "InceptionResNetV2",
        "Xception",
    ],
)
def test_applications(name):
    # Probabilities of 1000 classes hide differences that logits show.
    model = application(name, classifier_activation=None)
    calibrate(fill(model), photographs((224, 224, 3)))
    (network,) = compare([model], 1e-4, photographs, spread=0.1)
    # The mean and variance of Keras's Normalization are options here, not arrays.
    fixed = [layer for layer in model.layers if isinstance(layer, kl.Normalization)]
    assert count(network) == model.count_params() - sum(layer.count_params() for layer in fixed)
