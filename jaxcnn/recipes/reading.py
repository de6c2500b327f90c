"""Recipes from TOML files, and those that come with the package."""

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from jaxcnn import arguments
from jaxcnn.recipes import toml_text as toml
from jaxcnn.recipes.schema import VERSION, Recipe
from jaxcnn.recipes.toml_options import override, parse


def recipe_files() -> dict[str, Path]:
    """Return the recipes that come with the package, by name."""
    folder = Path(str(resources.files("jaxcnn") / "recipes"))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def read(
    source: str | Path,
    *,
    options: Mapping[str, Any] | None = None,
    assignments: Sequence[str] = (),
    flags: Mapping[str, str] | None = None,
) -> Recipe:
    """Return a recipe.

    Args:
      source: The path of a TOML file, or the name of a recipe that comes with the package.
      options: Options to change by dotted name, such as ``{"training.epochs": 5}``.
      assignments: Options to change as text, such as ``"optimizer.learning_rate=0.01"``.
      flags: What a user typed for one of `options`, such as ``--epochs``; errors name it.

    Raises:
      TypeError: a value is not of its type.
      ValueError: there is no such recipe, the file is not TOML, or an option is unknown or out of
        its range; the message names the line.
    """
    shipped, path = recipe_files(), Path(source)
    if not path.is_file():
        if path.suffix == ".toml" or path.parent != Path():
            raise ValueError(f"there is no file {str(source)!r}")
        arguments.check_known("recipe", str(source), shipped)
        path = shipped[str(source)]
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error}") from error
    _check_version(text, path.name)
    recipe = parse(text, Recipe, source=path.name, upgrade=_upgrade)
    return override(recipe, assignments, options=options, flags=flags)


def _upgrade(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a recipe of version 1 under the names of version 2.

    The moving average was named ``average``, ``balanced`` was an option of the data, and
    ``model.whiten`` one of every model; now the model that needs it does it.
    """
    if values.get("version") != 1:
        return values
    tables = {name: dict(t) if isinstance(t, dict) else t for name, t in values.items()}
    model, data, training = (tables.get(name, {}) for name in ("model", "data", "training"))
    if all(isinstance(table, dict) for table in (model, data, training)):
        model.pop("whiten", None)
        moved = {}
        if "average" in training:
            moved["ema"] = training.pop("average")
        if "balanced" in data:
            moved["balanced"] = data.pop("balanced")
        if moved:
            tables["training"] = training | moved
    return tables | {"version": VERSION}


def _check_version(text: str, source: str) -> None:
    """Raise an error for a recipe of a newer version, whose options may be unknown here."""
    try:
        version = toml.load(text).get("version")
    except ValueError:
        return  # `parse` reports it, with its line
    if isinstance(version, int) and version > VERSION:
        raise ValueError(
            f"{source} is a recipe of version {version}; this jaxcnn reads version {VERSION}. "
            "Install a newer one: pip install --upgrade jaxcnn"
        )
