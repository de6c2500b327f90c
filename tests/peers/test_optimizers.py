"""Optimizers and schedules against PyTorch's, on the same gradients.

Tolerances are those of float32: parameters of up to 4 round by up to 2.4e-7 at each step. Optax
also rounds 1 − 0.999 for Adam's first steps, which PyTorch computes in float64: by up to 3e-5 of
steps of 0.1.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch

from jaxcnn.training import make_optimizer, make_schedule

SHAPES = {"kernel": (3, 3, 4, 5), "dense": (7, 3), "bias": (5,), "scale": (4,)}
STEPS = 20


def arrays(seed, scale=1.0):
    rng = np.random.default_rng(seed)
    return {name: scale * rng.standard_normal(size, np.float32) for name, size in SHAPES.items()}


GRADIENTS = [arrays(seed, scale=0.1 if seed % 3 else 1.0) for seed in range(1, STEPS + 1)]


def ours(name, gradients=GRADIENTS, start=None, **options):
    """Returns the parameters after each step."""
    params = jax.tree.map(jnp.asarray, arrays(0) if start is None else start)
    optimizer = make_optimizer(name, **options)

    @jax.jit
    def step(params, state, gradient):
        updates, state = optimizer.update(gradient, state, params)
        return optax.apply_updates(params, updates), state

    state, history = optimizer.init(params), []
    for gradient in gradients:
        params, state = step(params, state, gradient)
        history.append(params)
    return history


def theirs(kind, decay, *, gradients=GRADIENTS, start=None, clip_norm=None, rates=None, **options):
    """Returns PyTorch's parameters after each step; arrays of one axis do not decay."""
    start = arrays(0) if start is None else start
    params = {name: torch.nn.Parameter(torch.tensor(array)) for name, array in start.items()}
    groups = [
        {"params": [p for p in params.values() if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in params.values() if p.ndim == 1], "weight_decay": 0.0},
    ]
    optimizer = kind([group for group in groups if group["params"]], **options)
    history = []
    for step, gradient in enumerate(gradients):
        for name, parameter in params.items():
            parameter.grad = torch.tensor(gradient[name])
        if clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(params.values(), clip_norm)
        if rates is not None:
            for group in optimizer.param_groups:
                group["lr"] = rates[step]
        optimizer.step()
        history.append({name: p.detach().numpy().copy() for name, p in params.items()})
    return history


def assert_close(ours, theirs, atol):
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        for name, array in other.items():
            np.testing.assert_allclose(mine[name], array, rtol=1e-5, atol=atol, err_msg=name)


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("momentum", [0.9, 0.5, 0.0])
@pytest.mark.parametrize("clip_norm", [None, 3.0])
def test_sgd(decay, momentum, clip_norm):
    mine = ours(
        "sgd", learning_rate=0.05, weight_decay=decay, momentum=momentum, clip_norm=clip_norm
    )
    other = theirs(
        torch.optim.SGD,
        decay,
        lr=0.05,
        momentum=momentum,
        nesterov=momentum > 0,
        clip_norm=clip_norm,
    )
    # clip_grad_norm_ divides by the norm + 1e-6.
    assert_close(mine, other, 2e-6 if clip_norm is None else 5e-6)


@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.8, 0.95)])
def test_adam(betas):
    mine = ours("adam", learning_rate=0.1, betas=betas)
    assert_close(mine, theirs(torch.optim.Adam, 0.0, lr=0.1, betas=betas), 2e-5)


@pytest.mark.parametrize("decay", [0.0, 0.2])
def test_adamw(decay):
    rates = np.linspace(0.1, 0.01, STEPS)
    mine = ours("adamw", learning_rate=lambda count: jnp.asarray(rates)[count], weight_decay=decay)
    assert_close(mine, theirs(torch.optim.AdamW, decay, rates=rates), 2e-5)


@pytest.mark.parametrize("scale", [0.01, 1.0, 1e6])
def test_clipping_by_the_global_norm(scale):
    gradient = arrays(1, scale=scale)
    mine = ours("sgd", [gradient], learning_rate=1.0, momentum=0.0, clip_norm=1.0)
    other = theirs(torch.optim.SGD, 0.0, gradients=[gradient], lr=1.0, clip_norm=1.0)
    assert_close(mine, other, 2e-6)


@pytest.mark.parametrize("shape", [(3, 3, 4, 5), (1, 1, 4, 30)], ids=["tall", "wide"])
@pytest.mark.parametrize(("momentum", "decay"), [(0.0, 0.0), (0.0, 0.3), (0.95, 0.0)])
def test_muon(shape, momentum, decay):
    """Steps of a kernel, which in PyTorch is the matrix as which ours is seen.

    PyTorch orthogonalises in bfloat16, which is up to 4 per cent of a step off. Optax corrects the
    momentum for its start at zero and PyTorch does not: with it, the second step differs by 8 per
    cent, and those from the tenth on do not.
    """
    rng = np.random.default_rng(0)
    start, *gradients = (rng.standard_normal(shape, np.float32) for _ in range(STEPS + 1))
    mine = ours(
        "muon",
        [{"k": gradient} for gradient in gradients],
        start={"k": start},
        learning_rate=0.1,
        momentum=momentum,
        weight_decay=decay,
    )
    matrix = (-1, shape[-1])
    other = theirs(
        torch.optim.Muon,
        decay,
        gradients=[{"k": gradient.reshape(matrix)} for gradient in gradients],
        start={"k": start.reshape(matrix)},
        lr=0.1,
        momentum=momentum,
        adjust_lr_fn="match_rms_adamw",
    )
    our_steps, their_steps = (
        np.diff([start.reshape(matrix), *(np.reshape(p["k"], matrix) for p in history)], axis=0)
        for history in (mine, other)
    )
    size = 0.1 * 0.2  # the rate and the root mean square to which Muon's steps are scaled
    differences = np.sqrt(((our_steps - their_steps) ** 2).mean(axis=(1, 2))) / size
    assert differences.max() < (0.1 if momentum else 0.05)
    assert differences[[0, *range(10, STEPS)]].max() < 0.05


def their_rates(steps, make, peak):
    """Returns the rate of each step, and the one after the last."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=peak)
    scheduler, rates = make(optimizer), []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return [*rates, optimizer.param_groups[0]["lr"]]


def our_rates(name, steps, **options):
    schedule = jax.jit(make_schedule(name, peak=0.3, steps=steps, **options))
    return [float(schedule(jnp.int32(step))) for step in range(steps + 1)]


def test_cosine():
    def make(optimizer):
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=30, eta_min=0.01)

    rates = our_rates("cosine", 30, final=0.01)
    np.testing.assert_allclose(rates, their_rates(30, make, 0.3), rtol=1e-5)


def test_linear():
    def make(optimizer):
        return torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.1, total_iters=30)

    rates = our_rates("linear", 30, final=0.03)
    np.testing.assert_allclose(rates, their_rates(30, make, 0.3), rtol=1e-5)


def test_piecewise():
    def make(optimizer):
        return torch.optim.lr_scheduler.MultiStepLR(optimizer, [10, 22], gamma=0.2)

    rates = our_rates("piecewise", 30, boundaries=(10, 22), factor=0.2)
    np.testing.assert_allclose(rates, their_rates(30, make, 0.3), rtol=1e-5)


@pytest.mark.parametrize("steps", [10, 50, 101])
def test_one_cycle(steps):
    """PyTorch is at its peak and end a step earlier: a cycle of one step more is the same."""
    rise = int(0.3 * steps)

    def make(optimizer):
        return torch.optim.lr_scheduler.OneCycleLR(
            optimizer, 0.3, total_steps=steps + 1, pct_start=(rise + 1) / (steps + 1)
        )

    other = their_rates(steps, make, 0.3)
    np.testing.assert_allclose(our_rates("one_cycle", steps), other, rtol=1e-5, atol=1e-7)
