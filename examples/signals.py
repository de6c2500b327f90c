"""Time series: FCN and InceptionTime on sets of the UCR and UEA archives, beside published figures.

Each network is trained from several seeds at once, as the members of an ensemble: the table has
their mean and standard deviation, and the accuracy of the mean of their probabilities. The package
aeon (BSD-3) ships the sets; any folder of ``NAME_TRAIN.ts`` and ``NAME_TEST.ts`` files will do.
"""

import argparse
import importlib.util
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import matplotlib as mpl
import numpy as np
from flax import nnx

import jaxcnn as cnn

SETS = ("GunPoint", "ItalyPowerDemand", "ArrowHead", "BasicMotions")
# Enough for a one-cycle learning rate; the papers train for 1,500 and 2,000 epochs.
EPOCHS = {
    ("GunPoint", "fcn"): 120,
    ("ItalyPowerDemand", "fcn"): 100,
    ("BasicMotions", "fcn"): 40,
    ("ArrowHead", "fcn"): 400,
    ("ArrowHead", "inception_time"): 60,
    ("BasicMotions", "inception_time"): 20,
    **dict.fromkeys((("GunPoint", "inception_time"), ("ItalyPowerDemand", "inception_time")), 40),
}
# Accuracy in percent and its standard deviation over runs. FCN and ResNet: Ismail Fawaz et al.
# (2019), 10 runs, github.com/hfawaz/dl-4-tsc. InceptionTime: github.com/hfawaz/InceptionTime, 5
# runs of one network in results-inception-128.csv, their ensemble in results-InceptionTime-128.csv.
PUBLISHED = {
    ("GunPoint", "fcn"): (100.0, 0.0, None),
    ("ItalyPowerDemand", "fcn"): (96.1, 0.3, None),
    ("ArrowHead", "fcn"): (84.3, 1.5, None),
    ("GunPoint", "resnet1d"): (99.1, 0.7, None),
    ("ItalyPowerDemand", "resnet1d"): (96.3, 0.4, None),
    ("ArrowHead", "resnet1d"): (84.5, 1.2, None),
    ("GunPoint", "inception_time"): (100.0, 0.0, 100.0),
    ("ItalyPowerDemand", "inception_time"): (96.4, 0.6, 96.5),
    ("ArrowHead", "inception_time"): (84.7, 2.8, 84.6),
}


def main(
    folder: str | Path | None = None,
    *,
    sets: Sequence[str] = SETS,
    models: Sequence[str] = ("fcn", "inception_time"),
    seeds: int = 5,
    epochs: int | None = None,
    features: int | None = None,
    picture: str | Path | None = None,
) -> dict[tuple[str, str], tuple[float, float, float]]:
    """Train every network on every set; return mean, deviation and the accuracy of the ensemble."""
    root = aeon_sets() if folder is None else Path(folder)
    results = {}
    titles = "accuracy %", "ensemble", "published", "time"
    print("{:<17} {:<15} {:>12} {:>9} {:>19} {:>7}".format("set", "network", *titles))
    for name in sets:
        train, test = (cnn.data.load(root / name, split=split) for split in ("train", "test"))
        for network in models:
            started = time.perf_counter()
            model = fit_members(
                network, train, seeds, epochs or EPOCHS.get((name, network), 60), features
            )
            members = [getattr(model, member) for member in model.names]
            accuracies = [100 * cnn.evaluate(each, test).accuracy for each in members]
            together = 100 * cnn.evaluate(model, test).accuracy
            result = float(np.mean(accuracies)), float(np.std(accuracies)), together
            results[name, network] = result
            seconds = time.perf_counter() - started
            print(
                f"{name:<17} {network:<15} {result[0]:>6.1f} ± {result[1]:<3.1f} {together:>9.1f} "
                f"{published(name, network):>19} {seconds:>5.0f} s",
                flush=True,
            )
            if picture is not None and (name, network) == (sets[0], "fcn"):
                draw_maps(members[0], test, Path(picture))
    return results


def aeon_sets() -> Path:
    """Return the folder of the sets that aeon ships; the package itself is not imported."""
    spec = importlib.util.find_spec("aeon")
    if spec is None or spec.origin is None:
        raise SystemExit("pip install --no-deps aeon, or give the folder of the sets")
    return Path(spec.origin).parent / "datasets" / "data"


def fit_members(
    network: str, train: cnn.Dataset, seeds: int, epochs: int, features: int | None
) -> cnn.modules.Ensemble:
    """Train a network from several seeds at once, with the batch sizes of the papers."""
    options: dict[str, Any] = {} if features is None else {"features": features}
    one = cnn.models.create(network, num_classes=len(train.class_names), **options)
    model = cnn.ensemble(one, seeds).build(train.image_shape, rngs=nnx.Rngs(0))
    size = max(min(len(train) // 10, 16), 2)
    result = cnn.fit(model, train, epochs=epochs, batch_size=size, progress=False)
    assert isinstance(result.model, cnn.modules.Ensemble)
    return result.model


def published(name: str, network: str) -> str:
    """Return the published mean, deviation and accuracy of the ensemble as text."""
    if (name, network) not in PUBLISHED:
        return "–"
    mean, deviation, together = PUBLISHED[name, network]
    more = "" if together is None else f", {together:.1f}"
    return f"{mean:.1f} ± {deviation:.1f}{more}"


def draw_maps(model: Any, test: cnn.Dataset, path: Path) -> None:
    """Draw two series of each class, colored by the class activation map of their class.

    The map is the weight of each step in the logit of the class (Zhou et al., 2016).
    """
    mpl.use("agg")
    from matplotlib import pyplot as plt
    from matplotlib.collections import LineCollection

    rows = np.concatenate([np.flatnonzero(test.labels == label)[:2] for label in (0, 1)])
    series = jax.numpy.asarray(test.images[rows])
    x = series
    for stage in (model.stage_1, model.stage_2, model.stage_3):
        x = stage(x, train=False)
    maps = np.asarray(x @ model.head.kernel[...])[np.arange(len(rows)), :, test.labels[rows]]
    figure, axes = plt.subplots(
        2, 2, figsize=(9, 5), sharex=True, sharey=True, layout="constrained"
    )
    limit = np.percentile(np.abs(maps), 95)  # the first steps, beside the padding, are far off
    for axis, values, weights, row in zip(axes.flat, series, maps, rows, strict=True):
        points = np.stack([np.arange(len(values)), values[:, 0]], axis=1)
        lines = LineCollection(
            list(np.stack([points[:-1], points[1:]], axis=1)), cmap="coolwarm", linewidths=4
        )
        lines.set_array(weights[:-1])
        lines.set_clim(-limit, limit)
        axis.add_collection(lines)
        axis.autoscale()
        axis.set_title(f"class {test.class_names[test.labels[row]]}, test series {row}")
    figure.supxlabel("time step")
    figure.colorbar(
        lines, ax=axes, label="weight of the step in the logit of the class", extend="both"
    )
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", help="folder of the sets; default: those of aeon")
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--models", nargs="+", default=["fcn", "inception_time"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--picture", help="file of a picture of class activation maps")
    given = parser.parse_args()
    main(
        given.folder,
        sets=given.sets,
        models=given.models,
        seeds=given.seeds,
        epochs=given.epochs,
        picture=given.picture,
    )
