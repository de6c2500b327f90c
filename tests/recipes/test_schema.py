"""Recipes: what they say is what is trained, and what is wrong is told with its line."""

import dataclasses
import functools
import inspect

import jax
import numpy as np
import pytest
from flax import nnx

import jaxcnn as cnn
from jaxcnn.modules.parameter_tree import arrays_of
from jaxcnn.recipes.assembly import assemble
from jaxcnn.recipes.first_weights import FirstWeights
from jaxcnn.recipes.reading import read, recipe_files
from jaxcnn.recipes.schema import Recipe
from jaxcnn.recipes.toml_options import dump, parse
from jaxcnn.training import cross_entropy, focal, run_folder
from jaxcnn.training.fitting import run_task


@pytest.mark.parametrize("name", recipe_files())
def test_shipped_recipes_can_be_read_and_written(name):
    recipe = read(name)
    assert parse(dump(recipe), Recipe) == recipe
    first, *_ = recipe_files()[name].read_text(encoding="utf-8").splitlines()
    assert first.startswith("# ")
    if recipe.model.weights is None:
        assert cnn.models.input_shape(recipe.model.name)


def test_what_is_asked_for_comes_with_the_package():
    assert {"digits", "mnist", "cifar10_fast", "cifar10_resnet", "fine_tune"} <= set(recipe_files())


def test_defaults_are_those_of_fit():
    """A recipe that says nothing of an option trains as ``fit`` does."""
    recipe = Recipe()
    parameters = inspect.signature(cnn.fit).parameters
    for option in dataclasses.fields(recipe.training):
        if option.name in parameters and option.name not in ("metrics", "keep_best"):
            assert getattr(recipe.training, option.name) == parameters[option.name].default


def write(folder, text):
    path = folder / "own.toml"
    path.write_text(inspect.cleandoc(text), encoding="utf-8")
    return path


ERRORS = [
    ("[training]\nepoch = 3", "own.toml, line 2: there is no option training.epoch. Did you mean"),
    ("epochs = 3", "own.toml, line 1: there is no option epochs: 'epochs' belongs to [training]"),
    ("[training]\n\nepochs = 'x'", 'line 3: training.epochs must be an integer. Received: "x"'),
    ("[training]\nepochs = 0", "line 2: training.epochs must be at least 1. Received: epochs=0"),
    (
        "[training]\nbatch_size = 10\naccumulate = 3",
        "line 3: training.accumulate must divide batch_size. Received: accumulate=3, batch_size=10",
    ),
    (
        "[training]\nema = 1.0",
        "line 2: training.ema must be in (0, 1). Received: ema",
    ),
    (
        "[training]\nmetrics = ['top5']",
        "line 2: training.metrics: there is no metric 'top5'. Did you mean 'top-5'?",
    ),
    ("[training]\nbetter = 'larger'", "line 2: training.better says how to compare a monitor, and"),
    (
        "[training]\npatience = 0",
        "line 2: training.patience must be at least 1. Received: patience",
    ),
    (
        "[training]\nmin_improvement = 0.1",
        "line 2: training.min_improvement needs patience, which waits for it. "
        "Received: min_improvement=0.1",
    ),
    (
        "[training]\nepochs = 2\n[optimizer]\nschedule = 'cosine'\nwarmup_epochs = 3",
        "own.toml, line 5: optimizer.warmup_epochs must be below epochs. "
        "Received: warmup_epochs=3.0 of epochs=2",
    ),
    (
        "[optimizer]\nschedule = 'piecewise'\nboundaries = [0.03, 0.5]\nwarmup_epochs = 4",
        "own.toml, line 3: optimizer.boundaries must come after the warm-up. "
        "Received: 0.03 of epochs=20 for warmup_epochs=4.0",
    ),
    (
        "[optimizer]\nname = 'adamm'",
        "line 2: there is no optimizer.name 'adamm'. Did you mean 'adam'?",
    ),
    (
        "[optimizer]\nlearning_rate = -1",
        "line 2: optimizer.learning_rate must be above 0. Received: learning_rate=-1.0",
    ),
    (
        "[optimizer]\nname = 'adam'\nmomentum = 0.9",
        "line 3: optimizer.momentum is an option of sgd, muon. Received: momentum=0.9 for adam",
    ),
    ("[optimizer]\nwarmup_epochs = 1", "optimizer"),
    ("[optimizer]\nschedule = 'piecewise'", "line 1: optimizer"),
    ("[model]\nname = 'mnist'", "line 2: model.name: there is no model 'mnist'. Did you mean 'mni"),
    (
        "[model]\noptions = {rat = 0.5}",
        "line 2: model.options: there is no option of mnist_cnn 'rat'. Did you mean 'rate'?",
    ),
    (
        "[model]\noptions = {rate = 1.5}",
        "line 2: model.options: rate is the probability of dropping and must be in [0, 1). R",
    ),
    (
        "[data]\naugment = 'cifra'",
        "line 2: data.augment: there is no augmentation policy 'cifra'. Did you mean 'cifar'?",
    ),
    ("[data]\nalpha = 0.2", "line 2: data.alpha is the strength of a mix; give one, such as mix ="),
    ("[data]\nmix = 'mixup'\nalpha = -1", "line 3: data.alpha must be at least 0"),
    ("[data]\nimage_size = [0, 8]", "line 2: data.image_size must be at least 1. Received: image"),
    ("[loss]\ndelta = 2", "line 2: loss.delta is no option of a loss that the labels decide"),
    ("[loss]\nname = 'focal'\nbalance = true", "line 3: loss.balance is no option of focal"),
    ("[loss]\nname = 'dise'", "line 2: loss.name: there is no loss 'dise'. Did you mean 'dice'"),
    (
        "[loss]\nbalance = true\nclass_weights = [1, 2]",
        "line 2: loss.balance makes class_weights of its own; give one of the two",
    ),
    ("version = 0", "line 1: version must be 1 or 2. Received: 0"),
    (
        "version = 3\nnew_option = 3",
        "own.toml is a recipe of version 3; this jaxcnn reads version 2. Install a newer one",
    ),
    ("[training\nepochs = 3", "own.toml, line 1"),
]


@pytest.mark.parametrize(("text", "message"), ERRORS, ids=[text for text, _ in ERRORS])
def test_what_is_wrong_is_told_with_its_line(tmp_path, text, message):
    path = tmp_path / "own.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises((TypeError, ValueError)) as caught:
        read(path)
    print(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_warm_up_is_measured_by_the_epochs_of_the_recipe():
    recipe = read("digits", assignments=[
        "training.epochs=1000", "optimizer.schedule=piecewise", "optimizer.boundaries=[0.03, 0.5]",
        "optimizer.warmup_epochs=4",
    ])  # fmt: skip
    schedule = ("piecewise", 4.0, (0.03, 0.5))
    optimizer = recipe.optimizer
    assert (optimizer.schedule, optimizer.warmup_epochs, optimizer.boundaries) == schedule
    message = "--set training.epochs=1: optimizer.warmup_epochs must be below epochs"
    with pytest.raises(ValueError, match=message):
        read("fine_tune", assignments=["training.epochs=1"])


def test_the_augmentation_none_is_not_the_one_that_suits_the_set(pictures):
    assert read("digits", assignments=["data.augment=none"]).data.augment == "none"
    assert read("digits", assignments=['data.augment="none"']).data.augment == "none"
    assert own(pictures, "data.augment=none").task.augment == "none"
    suits = cnn.augment.default_name("digits")
    assert suits != "none"
    assert assemble(read("digits")).recipe.data.augment == suits


def test_where_there_is_no_recipe(tmp_path):
    with pytest.raises(ValueError, match=r"there is no recipe 'digit'. Did you mean 'digits'\?"):
        read("digit")
    with pytest.raises(ValueError, match=r"there is no file '.*none\.toml'"):
        read(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"bytes\.toml' cannot be read"):
        read(tmp_path / "bytes.toml")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """An archive of noise: two classes, one of them rare."""
    return noise(tmp_path_factory.mktemp("data") / "noise.npz", (60, 12, 12, 1))


def noise(path, shape):
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    labels = np.arange(len(images)) % 6 // 5
    np.savez(path, images=images, labels=labels, class_names=["often", "rare"])
    return path


def own(pictures, *assignments):
    defaults = ["model.name=tiny_cnn", f"data.source={pictures}", "training.batch_size=8"]
    return assemble(read("digits", assignments=[*defaults, *assignments]))


def test_a_recipe_is_the_call_of_fit_that_it_describes(pictures):
    assembled = own(
        pictures, "training.epochs=2", "data.augment=digits", "data.mix=mixup", "data.alpha=0.3",
        "loss.balance=true", "loss.label_smoothing=0.1", "optimizer.name=sgd",
        "optimizer.schedule=cosine", "optimizer.warmup_epochs=0.5", "optimizer.learning_rate=0.05",
        "training.ema=0.9", "data.image_size=[10, 10]", "training.seed=3",
    )  # fmt: skip
    by_recipe = run_task(assembled.task, None, progress=False)

    train, test = (
        cnn.data.load(pictures, split=split, image_size=10) for split in ("train", "test")
    )
    model = cnn.models.create("tiny_cnn", num_classes=2).build((10, 10, 1), rngs=nnx.Rngs(3))
    steps = cnn.data.steps_per_epoch(train, 8)
    schedule = cnn.training.make_schedule(
        "cosine", peak=0.05, steps=2 * steps, warmup_steps=round(steps / 2)
    )
    by_hand = cnn.fit(
        model,
        train,
        validation=test,
        epochs=2,
        batch_size=8,
        optimizer=cnn.training.make_optimizer("sgd", learning_rate=schedule),
        loss=functools.partial(
            cross_entropy,
            label_smoothing=0.1,
            class_weights=cnn.data.class_weights(train).tolist(),
        ),
        augment="digits",
        mix=functools.partial(cnn.augment.mixup, alpha=0.3),
        ema=0.9,
        seed=3,
        progress=False,
    )
    for a, b in zip(
        jax.tree.leaves(nnx.state(by_recipe.model)),
        jax.tree.leaves(nnx.state(by_hand.model)),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
    assert by_recipe.history[-1].ema_loss == by_hand.history[-1].ema_loss


def test_losses_have_their_options(pictures):
    assembled = own(pictures, "loss.name=focal", "loss.gamma=1.5", "loss.alpha=[0.5, 1.0]")
    logits, labels = jax.numpy.array([[0.3, -0.2], [1.0, 2.0]]), jax.numpy.array([0, 1])
    np.testing.assert_array_equal(
        assembled.task.loss(logits, labels), focal(logits, labels, gamma=1.5, alpha=[0.5, 1])
    )
    assert own(pictures).task.loss is cross_entropy


def test_what_is_frozen_stays(pictures):
    assembled = own(pictures, "training.epochs=1", 'model.freeze=["conv_1.*"]')
    assert assembled.task.transformation.frozen == ("conv_1.*",)  # for statistics and dropout
    result = run_task(assembled.task, None, progress=False)
    before, after = (arrays_of(model) for model in (assembled.task.model, result.model))
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert not {name for name in changed if name.startswith("conv_1.")}
    assert {"conv_2.kernel", "head.kernel"} <= changed
    mistaken = own(pictures, 'model.freeze=["conv_9.*"]')
    with pytest.raises(ValueError, match=r"conv_9"):
        run_task(mistaken.task, None, progress=False)


@pytest.fixture
def begun(tmp_path):
    """A run of a network with four classes."""
    model = cnn.models.create("tiny_cnn", num_classes=4).build((28, 28, 1), rngs=nnx.Rngs(7))
    run = run_folder.Run(
        model="tiny_cnn",
        options={"num_classes": 4},
        input_shape=(28, 28, 1),
        class_names=("a", "b", "c", "d"),
        framing=cnn.data.decoding.framing.Framing((28, 28, 1)),
        data={},
        metrics={},
    )
    with run_folder.start_run(tmp_path / "first", dump(Recipe())):
        (tmp_path / "first" / "checkpoints" / "1").mkdir(parents=True)
        run_folder.finish_run(tmp_path / "first", run, model)
    return tmp_path / "first"


def test_a_fine_tuned_model_starts_from_the_weights_of_a_run(pictures, begun):
    assembled = assemble(
        read("fine_tune", assignments=[
            f"model.weights={begun}", "model.name=tiny_cnn", f"data.source={pictures}",
        ])
    )  # fmt: skip
    given, own_weights = (
        run_folder.read_weights(begun),
        arrays_of(assembled.task.model),
    )
    head = {name for name in given if given[name].shape != own_weights[name].shape}
    assert set(assembled.fresh) == head == {"head.kernel", "head.bias"}
    for name in given.keys() - head:
        np.testing.assert_array_equal(own_weights[name], given[name])


def test_a_run_that_goes_on_needs_no_weights_to_start_from(pictures):
    recipe = read("fine_tune", assignments=[
        "model.weights=gone", "model.name=tiny_cnn", f"data.source={pictures}",
    ])  # fmt: skip
    assert assemble(recipe, resumes=True).fresh == ()
    with pytest.raises(ValueError, match="no file of weights, and no run, in 'gone'"):
        assemble(recipe)


def test_weights_that_do_not_fit_are_an_error(begun):
    network = cnn.models.create("pets_cnn")
    model = network.build((30, 30, 1), rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match=r"no weight of .* has the name and shape of one"):
        FirstWeights(str(begun)).load(network, model)
    with pytest.raises(ValueError, match=r"give its folder as model\.weights"):
        assemble(read("fine_tune"))
    with pytest.raises(ValueError, match="no file of weights, and no run, in 'nowhere'"):
        assemble(read("fine_tune", assignments=["model.weights=nowhere"]))


@pytest.mark.long
def test_the_fast_recipe_whitens_and_freezes_its_first_layer(tmp_path):
    """On noise, for there is no CIFAR here."""
    pictures = noise(tmp_path / "noise.npz", (60, 32, 32, 3))
    assembled = assemble(
        read("cifar10_fast", assignments=[
            f"data.source={pictures}", "training.batch_size=16", "training.epochs=4",
            "model.options={features=[4, 4, 4]}",
        ])
    )  # fmt: skip
    plain = assembled.network.build(assembled.task.data.image_shape, rngs=nnx.Rngs(0))
    assert not np.allclose(
        plain.stem.conv_1.kernel[...], assembled.task.model.stem.conv_1.kernel[...]
    )
    result = run_task(assembled.task, None, progress=False)
    np.testing.assert_array_equal(
        result.model.stem.conv_1.kernel[...], assembled.task.model.stem.conv_1.kernel[...]
    )
    assert np.isfinite(result.history[-1].loss)


def test_a_recipe_of_version_1_is_read_under_the_names_of_version_2(tmp_path):
    recipe = read(
        write(
            tmp_path,
            """
            version = 1
            [model]
            whiten = true
            [data]
            balanced = true
            [training]
            average = 0.9
            """,
        )
    )
    assert (recipe.version, recipe.training.ema, recipe.training.balanced) == (2, 0.9, True)
    with pytest.raises(ValueError, match=r"line 3: there is no option training\.average"):
        read(write(tmp_path, "version = 2\n[training]\naverage = 0.9"))


def test_reading_does_not_import_what_a_recipe_names(tmp_path, monkeypatch):
    """A training does; whoever only looks at a recipe runs nothing of it."""
    noisy = "open('imported', 'w').close()\nimport nowhere\n"
    (tmp_path / "noisy_network.py").write_text(noisy, "utf-8")
    (tmp_path / "recipe.toml").write_text(
        '[model]\nname = "noisy_network:network"\n[data]\nsource = "nowhere"\n', "utf-8"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    assert cnn.recipes.recipe_of_run(tmp_path).model.name == "noisy_network:network"
    assert cnn.recipes.read("recipe.toml").model.name == "noisy_network:network"
    assert not (tmp_path / "imported").exists()
    # Before the data are looked for.
    with pytest.raises(
        ValueError, match=r"^model\.name: .*'noisy_network:network' cannot be imported"
    ):
        cnn.recipes.train("recipe.toml", tmp_path / "run")
    assert (tmp_path / "imported").exists()
