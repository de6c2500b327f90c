"""The names that Keras, PyTorch and others use, and what they are called here, for error messages.

Functions decorated with :func:`explained` and classes derived from :class:`Explained` tell a caller
who uses a name of another library what to write. Standard library only.
"""

import functools
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from jaxcnn import arguments

_F = TypeVar("_F", bound=Callable[..., Any])

# Our names of an argument, the first that the function has, and the names elsewhere.
_ARGUMENTS = {
    "accumulate": "gradient_accumulation_steps accumulate_grad_batches grad_accum",
    "augment": "transform transforms augmentation augmentations",
    "batch_size": "batch bs",
    "bias_init": "bias_initializer",
    "block": "block_size upscale_factor downscale_factor",
    "clip_norm": "max_grad_norm clipnorm grad_clip gradient_clip",
    "data images": "x dataset train_data training_data train_dataset train_loader",
    "data_dir": "root data_path",
    "dilation": "dilation_rate kernel_dilation rhs_dilation",
    "ema": "ema_decay use_ema",
    "epochs": "num_epochs n_epochs nb_epoch max_epochs",
    "epsilon": "eps",
    "features": "filters num_filters out_channels out_features num_features units channels",
    "groups": "feature_group_count num_groups",
    "image_size": "target_size img_size",
    "in_features": "in_channels input_dim",
    "kernel": "weight weights filter filters",
    "kernel_init": "kernel_initializer weight_init",
    "kernel_size window": "kernel kernel_shape filter_size pool_size window_size window_shape size",
    "learning_rate peak": "lr peak_lr max_lr learning_rate_init",
    "loss": "criterion loss_fn loss_function",
    "method": "mode interpolation",
    "multiplier": "depth_multiplier channel_multiplier",
    "optimizer": "optim optimiser",  # codespell:ignore optimiser
    "output_size": "output_shape target_shape",
    "padding widths": "pad paddings padding_size",
    "padding_mode": "pad_mode",
    "patience": "early_stopping early_stopping_patience early_stopping_rounds",
    "devices": "device placement sharding mesh accelerator gpus num_devices",
    "precision": "dtype amp fp16 bf16 mixed_precision",
    "progress": "verbose progress_bar quiet",
    "rate": "p prob probability drop_prob drop_rate dropout_rate",
    "restore_best": "restore_best_weights save_best save_best_only",
    "run": "log_dir logdir output_dir save_dir save_path checkpoint_dir model_dir",
    "scale": "factor scale_factor size",
    "seed": "random_state random_seed rng_seed rng",
    "size": "output_shape target_size output_size",
    "split": "train subset",
    "steps": "num_steps total_steps decay_steps T_max",
    "strides stride": "stride strides subsample window_strides",
    "train": "training is_training deterministic",
    "use_bias": "bias center",
    "use_scale": "scale affine elementwise_affine",
    "validation": "validation_data val_data valid_data eval_data eval_set test_data val",
    "warmup_steps": "warmup num_warmup_steps",
    "window": "kernel_size",
}
# What to write where there is no such argument.
_INSTEAD = {
    "activation": "An activation is a layer of its own: cnn.serial(cnn.conv(64, 3), jax.nn.relu).",
    "axis dim normalized_shape start_dim data_format": "Axes are (batch, *spatial, channels).",
    "class_weight sample_weight": "Use balanced=True, or a loss with weights: "
    "functools.partial(cross_entropy, class_weights=cnn.data.class_weights(data)).",
    "in_channels in_features in_planes input_dim num_features": "A description learns the number "
    "of channels of its input when it is built: leave it out.",
    "input_shape": "The shape of one image is an argument of build and of cnn.summarize.",
    "keep_prob": "Here rate is the probability of dropping, 1 − keep_prob.",
    "labels y": "Images and labels are one pair: (images, labels).",
    "momentum weight_decay betas clip_norm clipnorm": "It is an option of the optimizer: "
    'optimizer=make_optimizer("adamw", learning_rate=0.001, weight_decay=0.01).',
    "name": "A layer is named where it is composed: cnn.serial(first=cnn.conv(64, 3)).",
    "num_classes": "The classes are those of class_names, or of the labels.",
    "resume initial_epoch": "Call fit again with the same run, and the training continues.",
    "scheduler lr_scheduler schedule": "learning_rate takes a schedule, such as "
    'make_schedule("cosine", peak=0.003, steps=1000).',
    "shuffle": "The order of the images is drawn anew for every epoch, from seed.",
    "validation_split": "Split before: data, validation = cnn.data.stratified_split(data, 0.1).",
}
# Attributes of the models and data sets of others.
_ATTRIBUTES = {
    "batch": "Batches are those of cnn.data.batches(data, batch_size, seed=0); fit makes its own.",
    "compile": "There is nothing to compile: optimizer, loss and metrics are options of cnn.fit.",
    "count_params": "cnn.summarize(layer, input_shape) counts the parameters.",
    "evaluate": "Use cnn.evaluate(model, data).",
    "fit": "Use cnn.fit(model, data), which returns the trained model.",
    "forward": "Call the module: model(x).",
    "init": "Parameters are made by build(input_shape, rngs=nnx.Rngs(0)).",
    "load_state_dict load_weights": "Use cnn.load(path, into=model).",
    "map": "Augmentations are an option of cnn.fit: augment=cnn.augment.random_flip.",
    "num_classes classes": "Use len(data.class_names) and data.class_names.",
    "parameters trainable_variables weights": "Use nnx.state(model, nnx.Param).",
    "predict": "Use cnn.predict(model, images).",
    "save save_weights": "Use cnn.save(model, path).",
    "shape": "Use data.images.shape, or data.image_shape for one image.",
    "shuffle": "cnn.fit draws the order of the images anew for every epoch, from seed.",
    "split train_test_split": "Use train, test = cnn.data.stratified_split(data, 0.2).",
    "state_dict": "Use nnx.state(model), or cnn.save(model, path).",
    "summary": "Use print(cnn.summarize(layer, input_shape)), before it is built.",
    "targets y": "Use data.labels.",
    "to cuda": "The devices are an option of cnn.fit: devices=2, for example.",
    "x": "Use data.images.",
}
# Parts of the names of layers, after which they are those here without underscores.
_ABBREVIATED = {
    "average": "avg",
    "normalization": "norm",
    "pooling": "pool",
    "upsampling": "upsample",
}
_RENAMED = {
    "add": "parallel", "concat": "parallel", "concatenate": "parallel", "convolution": "conv",
    "depthwiseconv": "depthwise", "dropout2d": "spatial_dropout",
    "linear": "dense", "module": "Layer", "multiply": "parallel", "rescaling": "resize",
    "resizing": "resize", "separableconv": "separable", "sequential": "serial", "zeropad": "pad",
    "zeropadding": "pad", "lambda": "function", "loaddata": "load", "datasets": "data",
}  # fmt: skip
_ACTIVATIONS = {
    "activation": "relu", "elu": "elu", "gelu": "gelu", "leakyrelu": "leaky_relu", "relu": "relu",
    "selu": "selu", "sigmoid": "sigmoid", "silu": "silu", "softmax": "softmax", "softplus":
    "softplus", "swish": "swish", "tanh": "tanh",
}  # fmt: skip


def _listed(table: dict[str, str]) -> dict[str, str]:
    return {name: value for names, value in table.items() for name in names.split()}


_INSTEAD_OF, _ATTRIBUTE_HINTS = _listed(_INSTEAD), _listed(_ATTRIBUTES)


def explained(function: _F) -> _F:
    """Decorate a function so that a call with an unknown argument says what to write.

    >>> @explained
    ... def pool(x, *, strides=1):
    ...     return x
    >>> pool(3, stride=2)
    Traceback (most recent call last):
    TypeError: pool has no argument 'stride'. It is 'strides' here.

    Args:
      function: Any function.
    """
    parameters = list(inspect.signature(function).parameters.values())

    @functools.wraps(function)
    def checked(*positional: Any, **options: Any) -> Any:
        _check_call(function.__name__, parameters, positional, options)
        return function(*positional, **options)

    setattr(checked, "explained", function)  # noqa: B010  # functions declare no such field
    return cast(_F, checked)


def unexplained(function: Any) -> Any:
    """Return the function that :func:`explained` decorated, and everything else unchanged."""
    return getattr(function, "explained", function)


class Explained:
    """A class whose calls and attributes say what to write for a name of another library.

    >>> class norm(Explained):
    ...     def __init__(self, *, epsilon=1e-5):
    ...         self.epsilon = epsilon
    >>> norm(eps=1e-3)
    Traceback (most recent call last):
    TypeError: norm has no argument 'eps'. It is 'epsilon' here.
    """

    if not TYPE_CHECKING:  # or a type checker would accept every call and attribute

        def __new__(cls, /, *positional: Any, **options: Any) -> Any:
            """Check the names of the arguments, which ``__init__`` receives."""
            _check_call(cls.__name__, _parameters(cls), positional, options)
            return super().__new__(cls)

        def __getattr__(self, name: str) -> Any:
            """Raise the error of an unknown attribute."""
            hint = _ATTRIBUTE_HINTS.get(name, "")
            message = f"{type(self).__name__!r} object has no attribute {name!r}"
            raise AttributeError(f"{message}. {hint}" if hint else message, name=name, obj=self)


@functools.cache
def _parameters(kind: type) -> list[inspect.Parameter]:
    initializer: Callable[..., None] = getattr(kind, "__init__")  # noqa: B009  # mypy: unsound
    return list(inspect.signature(initializer).parameters.values())[1:]


def _check_call(
    function: str,
    parameters: list[inspect.Parameter],
    positional: tuple[Any, ...],
    options: Mapping[str, Any],
) -> None:
    """Raise an error if a call has unknown options, or more arguments than are taken in order."""
    known = [p.name for p in parameters]
    kinds = {p.kind for p in parameters}
    for name in options:
        if name not in known and inspect.Parameter.VAR_KEYWORD not in kinds:
            raise TypeError(f"{function} has no argument {name!r}. {_explain(name, known)}")
    if known[:2] == ["key", "images"] and len(positional) + len(options.keys() & known[:2]) < 2:
        raise TypeError(
            f"{function} is itself the function (key, images) -> images: pass it without a call, "
            f"augment={function}, and with options functools.partial({function}, …)"
        )
    ordered = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    if len(positional) <= len(ordered) or inspect.Parameter.VAR_POSITIONAL in kinds:
        return
    others = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    raise TypeError(
        f"{function} takes {' and '.join(ordered) or 'no argument'} in order"
        + (f", the others by name, such as {others[0]}=…" if others else "")
        + f". Received: {len(positional)} in order."
        + (" Images and labels are one pair: (images, labels)." if "data" in ordered else "")
        + (f" {_INSTEAD_OF['in_channels']}" if ordered[:1] in ([], ["features"]) else "")
    )


def _explain(name: str, known: list[str]) -> str:
    for ours, others in _ARGUMENTS.items():
        here = [own for own in ours.split() if own in known]
        if here and name in others.split():
            return f"It is {here[0]!r} here."
    return _INSTEAD_OF.get(name) or arguments.nearest(name, known)


def explain_attribute(package: str, name: str, known: Iterable[str]) -> AttributeError:
    """Return the error of a package that lacks a name, with the name that it has.

    >>> print(explain_attribute("cnn", "MaxPooling2D", ["conv", "max_pool"]))
    module 'cnn' has no attribute 'MaxPooling2D'. It is 'max_pool' here.

    Args:
      package: Name of the package.
      name: The name that it lacks.
      known: The names that it has.
    """
    message = f"module {package!r} has no attribute {name!r}"
    if name.startswith("_"):  # such as Python asks for
        return AttributeError(message)
    names = {own.replace("_", "").lower(): own for own in known}
    plain = re.sub(r"[123]d", "", name.replace("_", "").lower())
    for long, short in _ABBREVIATED.items():
        plain = plain.replace(long, short)
    if plain in _ACTIVATIONS:
        hint = f"An activation is a plain function: jax.nn.{_ACTIVATIONS[plain]}."
    elif (own := _RENAMED.get(plain, names.get(plain, ""))) in names.values():
        hint = f"It is {own!r} here."
    else:
        hint = arguments.nearest(name, names.values())
    return AttributeError(f"{message}. {hint}")
