"""Every transformation that Optax exports, in a training step and in a loop written by hand."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest
from flax import nnx

import jaxcnn as cnn
from jaxcnn.data import Batch
from jaxcnn.training import make_optimizer
from jaxcnn.training.optimizer_update import init_optimizer, update_params

pytestmark = [
    pytest.mark.implicit_promotion,
    pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning"),  # Optax's own
]
CLASSES = 4


def scaled(transformation):
    """A rule that gives a direction only, followed by the step against it."""
    return optax.chain(transformation, optax.scale(-0.1))


def matrices(params):
    return jax.tree.map(lambda _: optax.contrib.MuonDimensionNumbers(), params)


ONES = {"kernel": True, "bias": False}
LABELS = {"kernel": "a", "bias": "b"}
PAIR = {"a": optax.adam(0.1), "b": optax.sgd(0.1)}
# Transformations that do not take a learning rate alone, or nothing.
MADE = {
    "adaptive_grad_clip": lambda f: scaled(f(0.01)),
    "add_decayed_weights": lambda f: scaled(f(0.1)),
    "add_noise": lambda f: scaled(f(0.1, 0.5, jax.random.key(0))),
    "apply_every": lambda f: scaled(f(2)),
    "apply_if_finite": lambda f: f(optax.adam(0.1), 3),
    "chain": lambda f: f(optax.clip(1.0), optax.polyak_sgd(0.1)),
    "clip": lambda f: scaled(f(0.1)),
    "clip_by_block_rms": lambda f: scaled(f(0.1)),
    "clip_by_global_norm": lambda f: scaled(f(0.1)),
    "conditionally_mask": lambda f: f(optax.sgd(0.1), lambda step: step % 2 == 0),
    "conditionally_transform": lambda f: f(optax.sgd(0.1), lambda step: step % 2 == 0),
    "ema": lambda f: scaled(f(0.9)),
    "flatten": lambda f: f(optax.adam(0.1)),
    "freeze": lambda f: optax.chain(optax.sgd(0.1), f(ONES)),
    "inject_hyperparams": lambda f: f(optax.adam)(learning_rate=0.1),
    "inject_stateful_hyperparams": lambda f: f(optax.adam)(learning_rate=0.1),
    "keep_params_nonnegative": lambda f: optax.chain(optax.sgd(0.1), f()),
    "masked": lambda f: f(optax.adam(0.1), ONES),
    "measure_with_ema": lambda f: optax.chain(
        optax.monitor({"norm": f(optax.tree.norm, 0.9)}), optax.sgd(0.1)
    ),
    "monitor": lambda f: optax.chain(f({"norm": optax.tree.norm}), optax.sgd(0.1)),
    "multi_transform": lambda f: f(PAIR, LABELS),
    "named_chain": lambda f: f(("clip", optax.clip(1.0)), ("rule", optax.adam(0.1))),
    "noisy_sgd": lambda f: f(0.1, key=jax.random.key(0)),
    "partition": lambda f: f(PAIR | {"b": optax.lbfgs(0.1, linesearch=None)}, LABELS),
    "scale": lambda f: f(-0.1),
    "scale_by_backtracking_linesearch": lambda f: optax.chain(optax.sgd(1.0), f(10)),
    "scale_by_learning_rate": lambda f: f(0.1),
    "scale_by_muon": lambda f: optax.partition(
        {"a": scaled(f(weight_dimension_numbers=matrices)), "b": optax.sgd(0.1)}, LABELS
    ),
    "scale_by_polyak": lambda f: optax.chain(f(), optax.scale(-1.0)),
    "scale_by_rprop": lambda f: scaled(f(0.1)),
    "scale_by_schedule": lambda f: f(lambda count: -0.1 / (1.0 + count)),
    "scale_by_zoom_linesearch": lambda f: optax.chain(optax.sgd(1.0), f(10)),
    "selective_transform": lambda f: f(optax.sgd(0.1), freeze_mask=ONES),
    "snapshot": lambda f: optax.chain(f("norm", optax.tree.norm), optax.sgd(0.1)),
    "stateless": lambda f: f(lambda updates, params: jax.tree.map(lambda u: -0.1 * u, updates)),
    "stateless_with_tree_map": lambda f: f(lambda update, param: -0.1 * update),
    "trace": lambda f: scaled(f(0.9)),
    "with_extra_args_support": lambda f: f(optax.adam(0.1)),
    "lookahead": lambda f: None,  # of pairs of parameters, which no model has
    "differentially_private_aggregate": lambda f: None,  # of the gradient of every example
    "dpsgd": lambda f: None,  # the same
    "galore": lambda f: f(0.1, rank=2),
    "mechanize": lambda f: f(optax.adam(0.1)),
    "reduce_on_plateau": lambda f: optax.chain(
        make_optimizer("adam", learning_rate=0.1), f(patience=1)
    ),
    "sam": lambda f: f(optax.sgd(0.1), optax.chain(optax.contrib.normalize(), optax.sgd(0.1))),
    "sam, opaque": lambda f: f(optax.sgd(0.1), optax.sgd(0.1), opaque_mode=True),
    "scale_by_cocob": lambda f: f(),
    "scale_by_galore": lambda f: scaled(f(rank=2)),
    "hutchinson_estimator_diag_hessian": lambda f: scaled(f(jax.random.key(0))),
    "schedule_free": lambda f: f(optax.sgd(0.1), 0.1),
    "sophia": lambda f: f(0.1, update_interval=2),
    "split_real_and_imaginary": lambda f: f(optax.adam(0.1)),
    "MultiSteps": lambda f: f(optax.polyak_sgd(0.1), 2),
}
# They change their form in the first step, and no update.
MONITORS = {"monitor", "measure_with_ema", "snapshot"}
# Functions without an annotation that return numbers.
OTHERS = {
    "matrix_inverse_pth_root",
    "sigmoid_binary_cross_entropy",
    "update_infinity_moment",
    "update_moment",
    "update_moment_per_elem_norm",
    "schedule_free_eval_params",
}


def exported():
    """Return every function of Optax that gives a transformation, by name."""
    found = {"MultiSteps": optax.MultiSteps, "sam, opaque": optax.contrib.sam}
    for module in (optax, optax.contrib):
        for name, function in inspect.getmembers(module, inspect.isfunction):
            returned = inspect.signature(function).return_annotation
            unknown = returned is inspect.Signature.empty and name not in OTHERS
            if not name.startswith("_") and (unknown or "GradientTransf" in str(returned)):
                found[name] = function
    return found


EXPORTED = exported()


def make(name):
    function = EXPORTED[name]
    if name in MADE:
        return MADE[name](function)
    given = inspect.signature(function).parameters
    if "learning_rate" in given or "max_learning_rate" in given:
        return function(0.1)
    return scaled(function())


class Linear(nnx.Module):
    """A model whose loss can be written in a line."""

    def __init__(self):
        random = np.random.default_rng(0)
        kernel = random.uniform(0.1, 1, (6, CLASSES))
        self.kernel = nnx.Param(jnp.asarray(kernel, jnp.float32))
        self.bias = nnx.Param(jnp.full(CLASSES, 0.1))

    def __call__(self, x):
        return x.reshape(len(x), -1) @ self.kernel + self.bias


MODEL = Linear()
IMAGES = np.random.default_rng(1).standard_normal((8, 2, 3, 1)).astype(np.float32)
LABELS_OF_IMAGES = np.arange(8) % CLASSES
BATCH = Batch(jnp.asarray(IMAGES), jnp.asarray(LABELS_OF_IMAGES), jnp.ones(8, bool))


def plain_loss(params):
    logits = BATCH.image.reshape(8, -1) @ params["kernel"] + params["bias"]
    chosen = logits[jnp.arange(8), BATCH.label]
    return jnp.mean(jax.scipy.special.logsumexp(logits, axis=-1) - chosen)


VALUE_AND_GRAD = jax.jit(jax.value_and_grad(plain_loss))


def with_named_functions(params, obj_fn=None, grad_fn=None):
    """The loss, for a line search that is given arguments of other transformations too."""
    return plain_loss(params)


def step_by_hand(optimizer, value, grad, params, state):
    """Return the parameters and the state after a step of plain Optax."""
    signature = inspect.signature(optimizer.update).parameters
    takes_all = any(p.kind is p.VAR_KEYWORD for p in signature.values())
    extra = {"value": value, "grad": grad, "value_fn": with_named_functions}
    extra |= {"obj_fn": plain_loss, "grad_fn": lambda p, i: jax.grad(plain_loss)(p)}
    extra = {name: extra[name] for name in extra if takes_all or name in signature}
    updates, state = optimizer.update(grad, state, params, **extra)
    return optax.apply_updates(params, updates), state


def first_and_step(optimizer, **options):
    init, step = cnn.make_training(MODEL, optimizer, **options)
    return init(jax.random.key(0)), step


def by_steps(optimizer, **options):
    """Return the parameters after as many steps; to be called within a program."""
    state, step = first_and_step(optimizer, **options)
    state, _ = jax.lax.scan(lambda s, _: step.__wrapped__(s, BATCH), state, length=3)
    return state.params


PLACED = sorted(EXPORTED)


def address(array):
    """Return where an array lies."""
    if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        array = jax.random.key_data(array)
    return array.unsafe_buffer_pointer() if array.size else object()


@pytest.mark.parametrize("name", PLACED)
def test_updates_are_those_of_plain_optax(name):
    optimizer = make(name)
    if optimizer is None:
        return
    plain = optax.sgd(0.1) if name in MONITORS else optimizer
    first = {"kernel": MODEL.kernel[...], "bias": MODEL.bias[...]}
    params, state = first, init_optimizer(optimizer, first)
    # A step donates all of them, so no two may share memory.
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(state))
    addresses = list(map(address, jax.tree.leaves((first, state))))
    assert len(set(addresses)) == len(addresses)

    expected, plain_state = first, plain.init(first)
    for _ in range(2):  # some update every second time
        value, grad = VALUE_AND_GRAD(expected)
        params, state = update_params(
            optimizer, grad, state, params, value=value, loss_at=plain_loss
        )
        expected, plain_state = step_by_hand(plain, value, grad, expected, plain_state)
    changed = any((expected[key] != first[key]).any() for key in first)
    assert changed or name in ("set_to_zero", "selective_transform")
    for key in first:
        np.testing.assert_allclose(params[key], expected[key], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["prodigy", "sam", "schedule_free_adamw", "polyak_sgd"])
def test_states_are_donated_and_keep_their_form(name):
    optimizer = make(name)
    state, step = first_and_step(optimizer)
    expected = {"kernel": MODEL.kernel[...], "bias": MODEL.bias[...]}
    plain_state = optimizer.init(expected)
    for _ in range(3):
        state, _ = step(state, BATCH)
        given = *VALUE_AND_GRAD(expected), expected, plain_state
        expected, plain_state = step_by_hand(optimizer, *given)
    np.testing.assert_allclose(state.params["kernel"], expected["kernel"], rtol=1e-5)
    assert step._cache_size() == 1


def test_a_line_search_sees_the_loss_of_all_parts():
    optimizer = make("scale_by_backtracking_linesearch")

    @jax.jit
    def both():
        return by_steps(optimizer), by_steps(optimizer, accumulate=4)

    whole, parts = both()
    np.testing.assert_allclose(parts["kernel"], whole["kernel"], rtol=1e-4, atol=1e-6)


def test_schedule_free_evaluates_its_average():
    """After one step, x = (y − (1 − b1) z) / b1 is z: the first average is of one iterate."""
    rate, b1 = 0.1, 0.9
    optimizer = optax.contrib.schedule_free(optax.sgd(rate), rate, b1)
    images = (IMAGES - IMAGES.min()) / np.ptp(IMAGES)
    data = cnn.Dataset(images, LABELS_OF_IMAGES)
    options = {"epochs": 1, "batch_size": 8, "progress": False, "validation": data}
    result = cnn.fit(MODEL, data, optimizer=optimizer, **options)
    plain = cnn.fit(MODEL, data, optimizer=optax.sgd(rate), **options)
    np.testing.assert_allclose(result.model.kernel[...], plain.model.kernel[...], rtol=1e-5)
    row, expected = result.history[-1], plain.history[-1]
    assert row.validation_loss == pytest.approx(expected.validation_loss, rel=1e-5)

    # Of two steps the average and the point where gradients are taken differ.
    result = cnn.fit(MODEL, data, optimizer=optimizer, **options | {"epochs": 2})
    inner = optax.contrib.schedule_free_eval_params(
        result.state.optimizer_state, result.state.params
    )
    np.testing.assert_allclose(result.model.kernel[...], inner["kernel"], rtol=1e-5)
    assert (result.state.params["kernel"] != inner["kernel"]).any()
    assert cnn.evaluate(result.model, data).loss == pytest.approx(
        result.history[-1].validation_loss, rel=1e-6
    )


def test_schedule_free_of_a_part_of_the_parameters():
    free = optax.contrib.schedule_free_sgd(0.1)
    optimizer = optax.partition({"a": free, "b": optax.sgd(0.1)}, LABELS)
    state, step = first_and_step(optimizer)
    for _ in range(2):
        state, _ = step(state, BATCH)
    evaluated = state.to_evaluate().params
    assert (evaluated["kernel"] != state.params["kernel"]).any()
    np.testing.assert_array_equal(evaluated["bias"], state.params["bias"])


def test_a_chain_whose_link_takes_no_arguments_tells_the_way():
    sam = make("sam")
    with pytest.raises(TypeError, match=r"put optax\.GradientTransformation\(\*transformation\)"):
        first_and_step(optax.chain(optax.clip(1.0), sam))
    state, _ = first_and_step(optax.chain(optax.clip(1.0), optax.GradientTransformation(*sam)))
    assert state.step == 0
