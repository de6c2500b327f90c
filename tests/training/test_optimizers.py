"""Optimizers step by step against NumPy in float64; schedules against their formulas."""

import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jaxcnn as cnn
from jaxcnn.training import make_optimizer, make_schedule
from jaxcnn.training.optimizers import OPTIMIZERS
from jaxcnn.training.schedules import SCHEDULES

SHAPE = (8, 8, 2)
KERNELS = {"conv_1.kernel", "residual_1.body.conv_1.kernel", "depthwise_1.kernel", "dense_1.kernel"}
ADAM_BETAS, LION_BETAS = (0.9, 0.999), (0.9, 0.99)


# A network with every kind of parameter.
NETWORK = cnn.serial(
    cnn.conv(6, 3),
    cnn.batch_norm(),
    cnn.residual(cnn.serial(cnn.conv(6, 3, padding="SAME"), cnn.layer_norm())),
    cnn.depthwise(3),
    cnn.group_norm(2),
    cnn.flatten(),
    cnn.dense(3),
)


def flat(tree):
    """Return the arrays of a tree of parameters by their dotted paths, in float64."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {
        ".".join(key.key for key in keys): np.asarray(leaf, np.float64) for keys, leaf in leaves
    }


def parameters():
    """Return parameters of which none are zeros, as biases begin."""
    rng = np.random.default_rng(0)
    shapes = nnx.to_pure_dict(nnx.state(NETWORK.abstract(SHAPE), nnx.Param))
    return jax.tree.map(lambda a: rng.standard_normal(a.shape, np.float32), shapes)


def gradients(steps, scale=1.0):
    rng = np.random.default_rng(1)

    def draw(array):
        return np.float32(scale) * rng.standard_normal(array.shape, np.float32)

    params = parameters()
    return [jax.tree.map(draw, params) for _ in range(steps)]


def updated(optimizer, params, sequence):
    """Return the parameters after each gradient, as a compiled loop of steps makes them."""

    @jax.jit
    def steps(params, sequence):
        def step(carry, gradient):
            params, state = carry
            updates, state = optimizer.update(gradient, state, params)
            params = optax.apply_updates(params, updates)
            return (params, state), params

        return jax.lax.scan(step, (params, optimizer.init(params)), sequence)[1]

    each = jax.device_get(steps(params, jax.tree.map(lambda *all: np.stack(all), *sequence)))
    return [jax.tree.map(lambda all, at=at: all[at], each) for at in range(len(sequence))]


def first_updates(optimizer, params, gradient):
    """Return what a jitted first step adds to the parameters, by path."""

    @jax.jit
    def first(gradient, params):
        return optimizer.update(gradient, optimizer.init(params), params)[0]

    return flat(first(gradient, params))


def numpy_clip(gradient, most):
    norm = np.sqrt(sum((array**2).sum() for array in gradient.values()))
    return {name: array * min(1, most / norm) for name, array in gradient.items()}


def numpy_sgd(g, memory, step, momentum=0.9):
    memory["m"] = momentum * memory.get("m", 0) + g
    return g + momentum * memory["m"]


def numpy_adam(g, memory, step, betas=ADAM_BETAS):
    memory["m"] = betas[0] * memory.get("m", 0) + (1 - betas[0]) * g
    memory["v"] = betas[1] * memory.get("v", 0) + (1 - betas[1]) * g**2
    mean, square = memory["m"] / (1 - betas[0] ** step), memory["v"] / (1 - betas[1] ** step)
    return mean / (np.sqrt(square) + 1e-8)


def numpy_lion(g, memory, step, betas=LION_BETAS):
    direction = np.sign(betas[0] * memory.get("m", 0) + (1 - betas[0]) * g)
    memory["m"] = betas[1] * memory.get("m", 0) + (1 - betas[1]) * g
    return direction


def numpy_muon(g, memory, step, momentum=0.95, betas=ADAM_BETAS):
    """Muon of a kernel, its momentum corrected for its start at zero as Nadam's (Dozat, 2016)."""
    if g.ndim <= 2:
        return numpy_adam(g, memory, step, betas)
    memory["m"] = momentum * memory.get("m", 0) + (1 - momentum) * g
    direction = momentum * memory["m"] / (1 - momentum ** (step + 1))
    direction = direction + (1 - momentum) * g / (1 - momentum**step)
    matrix = direction.reshape(-1, g.shape[-1])
    x = matrix / np.linalg.norm(matrix)
    for _ in range(5):
        x = 3.4445 * x + (-4.7750 * x @ x.T + 2.0315 * x @ x.T @ x @ x.T) @ x
    return (0.2 * np.sqrt(max(matrix.shape)) * x).reshape(g.shape)


RULES = {
    "sgd": numpy_sgd,
    "adam": numpy_adam,
    "adamw": numpy_adam,
    "lion": numpy_lion,
    "muon": numpy_muon,
}


def numpy_steps(name, params, sequence, *, rates, decay=0.0, clip_norm=np.inf, **options):
    """Yield what each step makes of the parameters by path."""
    params, memory = flat(params), {path: {} for path in flat(params)}
    for step, gradient in enumerate(sequence, 1):
        for path, g in numpy_clip(flat(gradient), clip_norm).items():
            decayed = decay * params[path] * (path in KERNELS)
            if name == "sgd":
                update = numpy_sgd(g + decayed, memory[path], step, **options)
            else:
                update = RULES[name](g, memory[path], step, **options) + decayed
            params[path] = params[path] - rates[step - 1] * update
        yield dict(params)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("sgd", {}),
        ("sgd", {"momentum": 0.5}),
        ("sgd", {"momentum": 0}),
        ("adam", {}),
        ("adam", {"betas": (0.8, 0.95)}),
        ("adamw", {"betas": [0.8, 0.95]}),
        ("lion", {}),
        ("lion", {"betas": (0.5, 0.8)}),
        ("muon", {}),
        ("muon", {"momentum": 0.6, "betas": (0.8, 0.95)}),
    ],
)
def test_each_rule_step_by_step(name, options):
    """12 steps of a rate that changes, with decay and with gradients that are clipped or not.

    In float32, 1 − 0.999 of Adam's first step is 3e-5 off, and so are its steps of 0.1.
    """
    decay = 0.0 if name == "adam" else 0.3
    schedule = make_schedule("linear", peak=0.1, steps=20, final=0.02)
    sequence = gradients(6) + gradients(6, scale=0.1)
    norms = [np.sqrt(sum((a**2).sum() for a in flat(g).values())) for g in sequence]
    assert min(norms) < 5 < max(norms)
    optimizer = make_optimizer(
        name, learning_rate=schedule, weight_decay=decay, clip_norm=5.0, **options
    )
    rates = [0.1 - 0.08 * step / 20 for step in range(12)]
    expected = numpy_steps(
        name, parameters(), sequence, rates=rates, decay=decay, clip_norm=5.0, **options
    )
    steps = updated(optimizer, parameters(), sequence)
    for params, reference in zip(steps, expected, strict=True):
        for path, array in flat(params).items():
            np.testing.assert_allclose(array, reference[path], rtol=1e-5, atol=2e-5, err_msg=path)


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "adam"])
def test_kernels_decay_and_nothing_else(name):
    """Where no gradient is, the decay is all that happens."""
    params = parameters()
    optimizer = make_optimizer(name, learning_rate=0.1, weight_decay=0.5)
    zeros = jax.tree.map(np.zeros_like, params)
    updates = first_updates(optimizer, params, zeros)
    # The first momentum of Nesterov's looks ahead: g + 0.9 g.
    share = 0.05 * (1.9 if name == "sgd" else 1.0)
    for path, update in updates.items():
        expected = -share * flat(params)[path] if path in KERNELS else 0 * update
        np.testing.assert_allclose(update, expected, rtol=1e-6, err_msg=path)
    assert set(flat(params)) > KERNELS


def test_the_whole_gradient_is_clipped():
    params, (gradient,) = parameters(), gradients(1)
    norm = np.sqrt(sum((array**2).sum() for array in flat(gradient).values()))

    def update(gradient, most):
        optimizer = make_optimizer("sgd", learning_rate=1.0, momentum=0, clip_norm=most)
        return first_updates(optimizer, params, gradient)

    for path, array in update(gradient, 2 * norm).items():
        np.testing.assert_array_equal(array, -flat(gradient)[path])
    short = update(gradient, 0.5)
    assert np.sqrt(sum((array**2).sum() for array in short.values())) == pytest.approx(0.5)
    for path, array in short.items():
        np.testing.assert_allclose(array, -0.5 / norm * flat(gradient)[path], rtol=1e-5)
    zeros = jax.tree.map(np.zeros_like, gradient)
    assert not any(array.any() for array in update(zeros, 0.5).values())


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_clipping_does_not_hide_what_is_not_finite(value):
    params, (gradient,) = parameters(), gradients(1)
    gradient["dense_1"]["bias"][0] = value
    optimizer = make_optimizer("sgd", learning_rate=0.1, clip_norm=1.0)
    assert np.isnan(first_updates(optimizer, params, gradient)["dense_1.bias"][0])


def test_muon_makes_kernels_orthogonal_and_adam_does_the_rest():
    params, (gradient,) = parameters(), gradients(1)
    results = []
    for name in ("muon", "adam"):
        optimizer = make_optimizer(name, learning_rate=1.0)
        results.append(first_updates(optimizer, params, gradient))
    of_muon, of_adam = results
    for path, update in of_muon.items():
        if path in KERNELS - {"dense_1.kernel"}:
            matrix = update.reshape(-1, update.shape[-1])
            values = np.linalg.svd(matrix, compute_uv=False) / (0.2 * np.sqrt(max(matrix.shape)))
            # Jordan's five steps leave singular values that are 1 to about a third.
            assert (abs(values - 1) < 0.35).all(), path
            assert 0.15 < np.sqrt((update**2).mean()) < 0.25
        else:
            np.testing.assert_array_equal(update, of_adam[path])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_frozen_parameters_stay_and_have_no_state(name):
    params = parameters()
    frozen = ["conv_1.*", "*.body.*.bias", "dense_?.bias"]
    kept = {
        *("conv_1.kernel", "conv_1.bias", "dense_1.bias"),
        *("residual_1.body.conv_1.bias", "residual_1.body.layer_norm_1.bias"),
    }
    optimizer = make_optimizer(name, learning_rate=0.1, frozen=frozen)
    whole = make_optimizer(name, learning_rate=0.1)
    *_, after = updated(optimizer, params, gradients(3))
    for path, array in flat(after).items():
        assert (array == flat(params)[path]).all() == (path in kept), path

    def size(state):
        return sum(leaf.size for leaf in jax.tree.leaves(state) if leaf.ndim)

    state = jax.eval_shape(optimizer.init, params)
    # Of each number that is not frozen there are as many averages as before.
    copies = 2 if name.startswith("adam") else 1
    if name != "muon":
        saved = copies * sum(flat(params)[path].size for path in kept)
        assert size(jax.eval_shape(whole.init, params)) - size(state) == saved
    shapes = [leaf.shape for leaf in jax.tree.leaves(state)]
    assert (3, 3, 2, 6) not in shapes
    assert (3, 3, 6, 6) in shapes


def test_frozen_parameters_do_not_count_in_the_norm():
    params, (gradient,) = parameters(), gradients(1)
    gradient["dense_1"]["kernel"] *= 1e6
    optimizer = make_optimizer(
        "sgd", learning_rate=1.0, momentum=0, clip_norm=1e3, frozen=["dense_1.kernel"]
    )
    updates = first_updates(optimizer, params, gradient)
    np.testing.assert_array_equal(updates["dense_1.bias"], -flat(gradient)["dense_1.bias"])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_step_takes_each_and_compiles_once(name):
    """Under strict promotion, with a schedule, and with its state donated at each step."""
    layer = cnn.serial(cnn.conv(4, 3), jnp.tanh, cnn.conv(4, 3), cnn.flatten(), cnn.dense(3))
    model = layer.build(SHAPE, rngs=nnx.Rngs(0))
    rng = np.random.default_rng(0)
    batch = cnn.Batch(
        rng.integers(0, 256, (6, *SHAPE), np.uint8),
        rng.integers(0, 3, 6).astype(np.int32),
        np.ones(6, bool),
    )
    rate = make_schedule("cosine", peak=0.01, steps=20, warmup_steps=2)
    optimizer = make_optimizer(name, learning_rate=rate, clip_norm=1.0, frozen=("conv_1.*",))
    state = cnn.make_training(model, optimizer).init(jax.random.key(0))
    step, losses = cnn.make_training(model, optimizer).step, []
    for _ in range(10):
        before = jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), state)
        state, metrics = step(state, batch)
        assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), state) == before
        losses.append(float(metrics.loss))
    assert losses[-1] < losses[0]
    assert step._cache_size() == 1
    leaves = jax.tree.leaves(state.optimizer_state, is_leaf=lambda leaf: leaf is None)
    assert all(isinstance(leaf, jax.Array) for leaf in leaves)


def test_schedules_of_ones_own_and_of_optax_are_taken():
    params, sequence = parameters(), gradients(3)
    for schedule in (optax.cosine_onecycle_schedule(3, 0.1), lambda count: 0.1 / (1 + count)):
        optimizer = make_optimizer("sgd", learning_rate=schedule, momentum=0)
        steps = [params, *updated(optimizer, params, sequence)]
        with jax.numpy_dtype_promotion("standard"):
            rates = jax.jit(jax.vmap(schedule))(np.arange(3))
        for number, gradient in enumerate(sequence):
            taken = flat(steps[number])["dense_1.bias"] - flat(steps[number + 1])["dense_1.bias"]
            np.testing.assert_allclose(
                taken, rates[number] * flat(gradient)["dense_1.bias"], atol=1e-6
            )


@pytest.mark.parametrize(
    ("name", "options", "kind", "message"),
    [
        ("adamx", {}, ValueError, "there is no optimizer 'adamx'. Did you mean 'adam'?"),
        (
            None,
            {},
            ValueError,
            "there is no optimizer 'None'. Known: sgd, adam, adamw, lion, muon.",
        ),
        (
            "adam",
            {"weight_decay": 0.1},
            ValueError,
            "adam has no weight decay; adamw is Adam with it. Received: weight_decay=0.1",
        ),
        ("sgd", {"weight_decay": -0.1}, ValueError, "weight_decay must be at least 0. Received"),
        ("sgd", {"weight_decay": "0.1"}, TypeError, "weight_decay must be a number"),
        (
            "adamw",
            {"momentum": 0.9},
            ValueError,
            "momentum is an option of sgd, muon. Received: momentum=0.9 for adamw",
        ),
        ("sgd", {"momentum": 1}, ValueError, "momentum must be in [0, 1). Received: momentum=1"),
        (
            "muon",
            {"momentum": -1},
            ValueError,
            r"momentum must be in [0, 1). Received: momentum=-1",
        ),
        ("sgd", {"momentum": True}, TypeError, "momentum must be a number"),
        (
            "sgd",
            {"betas": (0.9, 0.99)},
            ValueError,
            "betas is an option of adam, adamw, lion, muon. Received: betas=(0.9, 0.99) for sgd",
        ),
        (
            "adam",
            {"betas": 0.9},
            ValueError,
            "betas must be a pair of numbers. Received: betas=0.9",
        ),
        ("lion", {"betas": (0.9,)}, ValueError, "betas must be a pair of numbers"),
        ("adam", {"betas": (0.9, 1.0)}, ValueError, "betas must be in [0, 1). Received: betas=1.0"),
        ("sgd", {"clip_norm": 0}, ValueError, "clip_norm must be above 0. Received"),
        ("sgd", {"clip_norm": "1"}, TypeError, "clip_norm must be a number"),
        ("sgd", {"learning_rate": 0.0}, ValueError, "learning_rate must be above 0. Received"),
        ("sgd", {"learning_rate": None}, TypeError, "learning_rate must be a number"),
        (
            "sgd",
            {"frozen": "conv_1.*"},
            TypeError,
            'frozen must be a sequence of patterns, such as ("conv_1.*",). Received: '
            "frozen='conv_1.*'",
        ),
        ("sgd", {"frozen": [1]}, TypeError, "frozen must be a sequence of patterns"),
    ],
)
def test_optimizer_errors(name, options, kind, message):
    with pytest.raises(kind) as raised:
        make_optimizer(name, **{"learning_rate": 0.1} | options)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("name", "frozen", "message"),
    [
        (
            "sgd",
            ["conv_1.*", "dense_2.kernel"],
            "a pattern of frozen must match the path of a parameter, of which the nearest is "
            "'dense_1.kernel'. Received: 'dense_2.kernel'",
        ),
        ("sgd", ["conv_1"], "the nearest is 'conv_1.bias'. Received: 'conv_1'"),
        (
            "adam",
            ["conv_1.*", "*"],
            "frozen must leave a parameter to train. Received: frozen=('conv_1.*', '*')",
        ),
        ("muon", ["*conv*", "depthwise_1.*"], "for a model without one use adamw"),
    ],
)
def test_errors_that_need_the_parameters_come_at_init(name, frozen, message):
    optimizer = make_optimizer(name, learning_rate=0.1, frozen=frozen)
    with pytest.raises(ValueError, match=re.escape(message)):
        optimizer.init(parameters())


def cosine(start, end, share):
    return end + (start - end) * (1 + np.cos(np.pi * share)) / 2


def one_cycle(step, peak, steps):
    rise = int(0.3 * steps)
    if step < rise:
        return cosine(peak / 25, peak, step / rise)
    return cosine(peak, peak / 250_000, (step - rise) / (steps - rise))


@pytest.mark.parametrize(
    ("name", "options", "formula"),
    [
        ("constant", {}, lambda t: 0.3),
        ("constant", {"warmup_steps": 4}, lambda t: 0.3 * min(t / 4, 1)),
        ("cosine", {}, lambda t: cosine(0.3, 0, t / 20)),
        (
            "cosine",
            {"warmup_steps": 5, "final": 0.01},
            lambda t: 0.3 * t / 5 if t < 5 else cosine(0.3, 0.01, (t - 5) / 15),
        ),
        ("linear", {"final": 0.1}, lambda t: 0.3 - 0.2 * t / 20),
        ("linear", {"warmup_steps": 5}, lambda t: 0.3 * (t / 5 if t < 5 else (20 - t) / 15)),
        ("one_cycle", {}, lambda t: one_cycle(t, 0.3, 20)),
        ("piecewise", {"boundaries": [10, 15]}, lambda t: 0.3 * 0.1 ** ((t >= 10) + (t >= 15))),
        (
            "piecewise",
            {"boundaries": (0.31, 0.75), "factor": 0.5, "warmup_steps": 2},
            lambda t: 0.3 * min(t / 2, 1) * 0.5 ** ((t >= 6) + (t >= 15)),
        ),
    ],
)
def test_each_schedule_is_its_formula(name, options, formula):
    schedule = make_schedule(name, peak=0.3, steps=20, **options)
    compiled = jax.jit(schedule)
    for step in range(21):
        expected = pytest.approx(formula(step), rel=1e-5, abs=1e-7)
        rate = compiled(np.int32(step))
        assert (rate.dtype, rate.shape) == (jnp.float32, ())
        assert float(rate) == expected
        assert float(schedule(step)) == expected


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_the_shortest_runs(name, steps):
    """The first step has the whole rate: no rise is left of one-cycle's."""
    options = {"boundaries": (0.25, 0.5, 0.75)} if name == "piecewise" else {}
    schedule = make_schedule(name, peak=0.1, steps=steps, **options)
    rates = [float(schedule(step)) for step in range(steps + 2)]
    assert rates[0] == pytest.approx(0.1)
    assert all(0 <= later <= rate for rate, later in itertools.pairwise(rates))
    assert all(rate > 0 for rate in rates[:steps])
    if name == "piecewise":
        assert rates[-1] == pytest.approx(1e-4)


@pytest.mark.parametrize(
    ("name", "options", "kind", "message"),
    [
        ("cosin", {}, ValueError, "there is no schedule 'cosin'. Did you mean 'cosine'?"),
        ("cosine", {"peak": 0}, ValueError, "peak must be above 0. Received: peak=0"),
        ("cosine", {"peak": "1"}, TypeError, "peak must be a number"),
        ("cosine", {"steps": 0}, ValueError, "steps must be at least 1. Received: steps=0"),
        ("cosine", {"steps": 1.5}, TypeError, "steps must be an integer"),
        ("cosine", {"warmup_steps": -1}, ValueError, "warmup_steps must be at least 0"),
        (
            "cosine",
            {"warmup_steps": 10},
            ValueError,
            "warmup_steps must be below steps. Received: warmup_steps=10 of steps=10",
        ),
        (
            "one_cycle",
            {"warmup_steps": 2},
            ValueError,
            "warmup_steps must be 0 for one_cycle, which rises itself. Received: warmup_steps=2",
        ),
        (
            "one_cycle",
            {"final": 0.0},
            ValueError,
            "final is an option of cosine, linear. Received: final=0.0 for one_cycle",
        ),
        ("constant", {"final": 0.1}, ValueError, "final is an option of cosine, linear"),
        ("linear", {"final": 2}, ValueError, "final must be in [0, 1]. Received: final=2"),
        ("cosine", {"boundaries": [1]}, ValueError, "boundaries is an option of piecewise"),
        ("cosine", {"factor": 0.1}, ValueError, "factor is an option of piecewise"),
        ("piecewise", {}, TypeError, "boundaries must be step numbers, or shares of the run"),
        ("piecewise", {"boundaries": []}, TypeError, "boundaries must be step numbers"),
        ("piecewise", {"boundaries": 5}, TypeError, "boundaries must be step numbers"),
        ("piecewise", {"boundaries": [2], "factor": 0}, ValueError, "factor must be above 0"),
        ("piecewise", {"boundaries": [0, 2]}, ValueError, "boundaries must be at least 1"),
        ("piecewise", {"boundaries": [2, 0.5]}, TypeError, "boundaries must be an integer"),
        (
            "piecewise",
            {"boundaries": [5, 5]},
            ValueError,
            "boundaries must be step numbers of at least 1, in rising order. Received: "
            "boundaries=[5, 5]",
        ),
        ("piecewise", {"boundaries": [5, 10]}, ValueError, "step numbers from 1 to 9"),
        (
            "piecewise",
            {"boundaries": (0.5, 1.0)},
            ValueError,
            "boundaries must be shares of the run between 0 and 1, in rising order. Received: "
            "boundaries=(0.5, 1.0)",
        ),
        ("piecewise", {"boundaries": (0.0, 0.5)}, ValueError, "shares of the run between 0 and 1"),
        ("piecewise", {"boundaries": (0.5, 0.2)}, ValueError, "in rising order"),
        (
            "piecewise",
            {"boundaries": (0.2, 0.5), "warmup_steps": 2},
            ValueError,
            "boundaries must come after the 2 steps of warm-up. Received: boundaries=(0.2, 0.5)",
        ),
    ],
)
def test_schedule_errors(name, options, kind, message):
    with pytest.raises(kind) as raised:
        make_schedule(name, **{"peak": 1.0, "steps": 10} | options)
    assert message in str(raised.value)
