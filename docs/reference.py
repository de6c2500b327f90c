"""The reference, from the docstrings: the directive `names`, and addresses in other projects.

A page names what it documents and the module that offers it::

    .. names:: jaxcnn.ops

       conv conv_transpose

The first sentence of each docstring is listed, and the docstrings follow.
"""

import dataclasses
import importlib
import inspect
import re
import sys
from collections.abc import Iterator, Mapping

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.pycode import ModuleAnalyzer
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.util.inspect import signature, stringify_signature
from sphinx.util.typing import stringify_annotation

# Names of types that annotations hold by their value alone; one that contains another comes first.
ALIASES = (
    "jax.typing.DTypeLike",
    "jax.typing.ArrayLike",
    "jaxcnn.shapes.Padding",
    "jaxcnn.shapes.PerAxis",
    "jaxcnn.shapes.Scales",
    "jaxcnn.modules.Initializer",
    "jaxcnn.training.Callback",
    "jaxcnn.training.Devices",
    "jaxcnn.training.Event",
)
# Public names of classes that other projects define elsewhere.
DEFINED_IN = {
    "flax.nnx.module.Module": "flax.nnx.Module",
    "flax.nnx.rnglib.Rngs": "flax.nnx.Rngs",
    "jax._src.mesh.Mesh": "jax.sharding.Mesh",
    "jax.jaxlib._jax.Array": "jax.Array",
    "jaxlib._jax.Device": "jax.Device",
    "jaxlib._jax.Sharding": "jax.sharding.Sharding",
    "numpy.random._generator.Generator": "numpy.random.Generator",
    "optax._src.base.GradientTransformation": "optax.GradientTransformation",
}
# Pages of other projects by the names that they document; the build needs no network.
ADDRESSES = {
    r"(jax\.(sharding|typing)\..*)": r"https://docs.jax.dev/en/latest/jax.\2.html#\1",
    r"(jax\..*)": r"https://docs.jax.dev/en/latest/_autosummary/\1.html",
    r"(flax\.nnx\.Module)": r"https://flax.readthedocs.io/en/latest/api_reference/flax.nnx/module.html#\1",
    r"(flax\.nnx\.Rngs)": r"https://flax.readthedocs.io/en/latest/api_reference/flax.nnx/rnglib.html#\1",
    r"(optax\.GradientTransformation)": r"https://optax.readthedocs.io/en/latest/api/transformations.html#\1",
    r"(numpy\..*)": r"https://numpy.org/doc/stable/reference/generated/\1.html",
    r"((collections\.abc|pathlib|hashlib)\b.*)": r"https://docs.python.org/3/library/\2.html#\1",
}


class Names(SphinxDirective):
    """The documentation of the named functions, classes and constants of a module."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return a list of the names, and their entries."""
        (room,) = self.arguments
        module = importlib.import_module(room)
        lines, entries = [f".. py:currentmodule:: {room}", ""], []
        for name in " ".join(self.content).split():
            value = getattr(module, name)
            docstring = _docstring(f"{room}.{name}", value)
            sentence = " ".join(docstring.partition("\n\n")[0].split())
            lines.append(f"* :py:obj:`{name}`: {sentence}")
            entries += ["", *_entry(f"{room}.{name}", value, docstring)]
        return self.parse_text_to_nodes("\n".join([*lines, *entries]))


def _docstring(path: str, value: object) -> str:
    """Return the docstring, or warn; a warning fails the build."""
    described = isinstance(value, (type, property)) or inspect.isroutine(value)
    docstring = inspect.getdoc(value) if described else _behind_assignment(path, value)
    if not docstring:
        logging.getLogger(__name__).warning("%s has no docstring.", path)
    return docstring or ""


def _behind_assignment(path: str, value: object) -> str | None:
    room, _, name = path.rpartition(".")
    for file, module in sorted(sys.modules.items()):
        if file.startswith(f"{room}.") and vars(module).get(name) is value:
            analyzer = ModuleAnalyzer.for_module(file)
            analyzer.analyze()
            if ("", name) in analyzer.attr_docs:
                return "\n".join(analyzer.attr_docs["", name])
    return None


def _entry(path: str, value: object, docstring: str) -> Iterator[str]:
    if isinstance(value, type):
        yield f".. autoclass:: {path}"
        if methods := list(_methods(value)):
            yield f"   :members: {', '.join(methods)}"
            for name in methods:
                _docstring(f"{path}.{name}", inspect.getattr_static(value, name))
    elif inspect.isroutine(value):
        yield f".. autofunction:: {path}"
    else:
        name = path.rpartition(".")[2]
        if isinstance(value, tuple):
            yield from [f".. py:data:: {name}", f"   :value: {value}"]
        elif isinstance(value, Mapping):
            yield f".. py:data:: {name}"
        else:
            yield from [f".. py:type:: {name}", f"   :canonical: {stringify_annotation(value)}"]
        yield from ["", *(f"   {line}" for line in docstring.splitlines())]


def _methods(kind: type) -> Iterator[str]:
    """Yield the methods and properties that no base class documents."""
    for name, value in vars(kind).items():
        own = getattr(value, "__qualname__", "").startswith(f"{kind.__qualname__}.")
        inherited = any(hasattr(base, name) for base in kind.__bases__)
        if (own or isinstance(value, property)) and not (inherited or name.startswith("_")):
            yield name


def write_signature(
    app: Sphinx, what: str, name: str, member: object, options: object, arguments: str, result: str
) -> tuple[str | None, str | None]:
    """Write aliases and defaults as the source does."""
    if isinstance(member, type):  # that of __init__, which checks before it may hide
        parameters = signature(member).parameters.values()
        shown = inspect.Signature([_with_short_default(parameter) for parameter in parameters])
        arguments = stringify_signature(shown, True, False, unqualified_typehints=True)
    return _as_written(arguments), _as_written(result)


class _Source(str):
    """A text that a signature shows as it is."""

    __repr__ = str.__str__


def _with_short_default(parameter: inspect.Parameter) -> inspect.Parameter:
    """Leave out the fields of a dataclass, which has an entry of its own or is no public name."""
    if dataclasses.is_dataclass(parameter.default):
        return parameter.replace(default=_Source(f"{type(parameter.default).__name__}()"))
    return parameter


def _as_written(text: str | None) -> str | None:
    if text is None:
        return None
    for alias in ALIASES:
        module, _, name = alias.rpartition(".")
        value = getattr(importlib.import_module(module), name)
        text = text.replace(stringify_annotation(value, "smart"), f"~{alias}")
    text = re.sub(r"<function (\w+)[^>]*>", r"\1", text)
    text = text.replace("<factory>", "...")
    return re.sub(r"<class '([\w.]+)'>", r"\1", text)


def link_elsewhere(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.Element
) -> nodes.reference | None:
    """Return a link to the page of another project."""
    name = DEFINED_IN.get(node["reftarget"], node["reftarget"])
    for pattern, address in ADDRESSES.items():
        if match := re.fullmatch(pattern, name):
            return nodes.reference("", "", content, refuri=match.expand(address), internal=False)
    return None


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive, and connect the functions above."""
    app.add_directive("names", Names)
    app.connect("autodoc-process-signature", write_signature)
    app.connect("missing-reference", link_elsewhere)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
