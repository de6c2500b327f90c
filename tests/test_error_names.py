"""No error names an argument that the caller never wrote.

Every wrong call of the table in ``errors.txt``, and every public function of layers, operations,
augmentations, losses and metrics with each of its options set to a value that cannot be right: the
name at the head of the message is a parameter of the function that was called.
"""

import ast
import functools
import inspect
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_errors import NAMES, WRONG, message

from jaxcnn import augment, layers, ops, shapes, training

HEAD = re.compile(
    r"^\w+Error: (?:[\w/]+: )?(?!there)(\w+) (?:must|needs|belongs|has|is|says|are)\b"
)


def called(node):
    """Yield the functions of a chain of calls, from the outside."""
    while isinstance(node, ast.Call):
        yield ast.unparse(node.func)
        for inner in ast.walk(node):
            if isinstance(inner, ast.Call) and inner is not node:
                yield ast.unparse(inner.func)
        node = node.func.value if isinstance(node.func, ast.Attribute) else None


def parameters(name):
    try:
        function = eval(name, dict(NAMES))
    except Exception:  # a method of a value that cannot be made
        return {"input_shape", "rngs", "x", "train", "key"}
    function = function.__init__ if isinstance(function, type) else function
    names = set(inspect.signature(function).parameters)
    return names | ({"kernel_size"} if "kernel" in names else set())  # the kernel's own size


@pytest.mark.parametrize("call", WRONG)
def test_the_name_in_the_message_is_a_parameter_of_what_was_called(call):
    found = HEAD.match(message(call))
    if found is None:
        return  # the message names layers or shapes
    functions = list(called(ast.parse(call, mode="eval").body))
    known = set().union(*(parameters(name) for name in functions))
    kinds = {name.rpartition(".")[2].lower() for name in functions}
    assert found[1] in known or found[1].lower() in kinds, message(call)


X, KEY = jnp.ones((2, 8, 8, 2)), jax.random.key(0)
KERNEL = jnp.ones((3, 3, 2, 2))
LOGITS, LABELS = jnp.ones((2, 3)), jnp.array([0, 1])
# What each function needs besides the option that is wrong.
ARGUMENTS = {
    "conv": (X, KERNEL), "conv_transpose": (X, KERNEL),
    "dense": (jnp.ones((2, 3)), jnp.ones((3, 2))),
    "max_pool": (X, 2), "avg_pool": (X, 2), "sum_pool": (X, 2), "lp_pool": (X, 2, 2),
    "global_max_pool": (X,), "global_avg_pool": (X,), "pad": (X, 1), "resize": (X, 4),
    "upsample": (X, 2), "dropout": (KEY, X, 0.5), "spatial_dropout": (KEY, X, 0.5),
    "drop_path": (KEY, X, 0.5), "filter_image": (np.ones((8, 8)), "box_blur"),
    "cross_entropy": (LOGITS, LABELS), "focal": (LOGITS, LABELS),
    "huber": (jnp.ones((2, 1)), jnp.ones((2, 1))),
    "nms": (jnp.ones((2, 4)), jnp.ones(2)),
    "mixup": (KEY, X, LOGITS), "cutmix": (KEY, X, LOGITS),
    "make_optimizer": ("sgd",), "make_schedule": ("cosine",),
}  # fmt: skip
NEEDED = {
    "nms": {"threshold": 0.5, "limit": 2},
    "make_optimizer": {"learning_rate": 0.1}, "make_schedule": {"peak": 0.1, "steps": 10},
    "alternating_flip": {"epoch": 0},
}  # fmt: skip


def functions():
    for module in (ops, augment, training):
        for name in module.__all__:
            function = getattr(module, name)
            if inspect.isfunction(function) and name in ARGUMENTS:
                yield name, functools.partial(function, *ARGUMENTS[name]), function
            elif module is augment and "images" in inspect.signature(function).parameters:
                yield name, functools.partial(function, KEY, jnp.ones((2, 8, 8, 3))), function
    for name, arguments in (
        ("conv", (4, 3)), ("conv_transpose", (4, 3)), ("depthwise", (3,)), ("separable", (4, 3)),
        ("dense", (3,)), ("max_pool", (2,)), ("avg_pool", (2,)), ("sum_pool", (2,)),
        ("lp_pool", (2, 2)), ("pad", (1,)), ("resize", (4,)), ("upsample", (2,)),
        ("batch_norm", ()), ("layer_norm", ()), ("group_norm", (2,)), ("instance_norm", ()),
        ("rms_norm", ()), ("squeeze_excite", ()), ("global_avg_pool", ()), ("global_max_pool", ()),
    ):  # fmt: skip
        function = getattr(layers, name)

        def call(*, function=function, arguments=arguments, **options):
            # Some options can be judged only with a shape.
            return function(*arguments, **options).output_shape((8, 8, 4))

        yield f"layers.{name}", call, function
    for name, arguments in (("conv_shape", ((8, 8, 2), 4, 3)), ("pool_shape", ((8, 8, 2), 2))):
        function = getattr(shapes, name)
        yield f"shapes.{name}", functools.partial(function, *arguments), function


def cases():
    skipped = {"precision", "dtype", "param_dtype", "key", "epoch"}  # JAX's own, or arrays
    for name, call, function in functions():
        for option in inspect.signature(function).parameters.values():
            if option.kind is option.KEYWORD_ONLY and option.name not in skipped:
                yield pytest.param(call, function, option.name, id=f"{name}-{option.name}")


@pytest.mark.parametrize(("call", "function", "option"), list(cases()))
def test_a_bad_option_is_blamed_by_its_name(call, function, option):
    needed = NEEDED.get(function.__name__, {})
    messages = []
    for bad in ("nonsense", object(), -7.5, (1, 2, 3, 4, 5)):
        try:
            call(**needed | {option: bad})
        except (TypeError, ValueError) as error:
            messages.append(str(error).partition(". Received")[0])
    assert messages, "no bad value was refused"
    assert [text for text in messages if option not in text] == []
