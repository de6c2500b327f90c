"""Read every embedded digit by a network that was trained without it: five folds, several seeds.

    python digits_folds.py [RECIPE ...] [--seeds 0 1 2] [--set OPTION=VALUE ...]

A seed deals the digits into folds and begins the trainings. In the same folds stands scikit-learn's
support vector classifier, the best of its classic models on these digits, with the
options that are best in them (gamma 0.001, C 10 for pixels between 0 and 16).
"""

import argparse
import dataclasses
import tempfile
import time
from collections.abc import Callable

import jax
import numpy as np
from flax import nnx
from sklearn.svm import SVC

import jaxcnn as cnn
from jaxcnn import data
from jaxcnn.recipes import assembly, reading
from jaxcnn.recipes import schema as recipe
from jaxcnn.training.fitting import run_task

FOLDS = 5
Judge = Callable[[cnn.Dataset, cnn.Dataset, int], int]


def main() -> None:
    """Print a line for every seed of every contender."""
    parser = argparse.ArgumentParser()
    parser.add_argument("recipes", nargs="*", default=["digits_best", "digits_small"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--set", dest="assignments", nargs="+", default=[])
    arguments = parser.parse_args()
    cnn.runtime.keep_freed_memory()
    report("SVC, rbf", support_vectors, arguments.seeds)
    with tempfile.TemporaryDirectory() as programs:
        jax.config.update("jax_compilation_cache_dir", programs)  # one for all folds
        for name in arguments.recipes:
            described = reading.read(name, assignments=arguments.assignments)
            parameters = nnx.state(assembly.assemble(described).task.model, nnx.Param)
            size = sum(parameter.size for parameter in jax.tree.leaves(parameters))
            report(f"{name}, {size:,} parameters", by_recipe(described), arguments.seeds)


def report(name: str, right: Judge, seeds: list[int]) -> None:
    """Print the share of all digits that are classified correctly, for each seed and on average."""
    digits = data.load("digits", split="all")
    start, shares = time.perf_counter(), []
    for seed in seeds:
        folds = data.k_fold(digits, FOLDS, seed=seed)
        shares.append(sum(right(train, test, seed) for train, test in folds) / len(digits))
        print(f"{name}: seed {seed}, {shares[-1]:.2%}", flush=True)
    seconds = (time.perf_counter() - start) / (FOLDS * len(seeds))
    mean, deviation = np.mean(shares), np.std(shares, ddof=1) if len(shares) > 1 else 0
    print(f"{name}: {mean:.2%} ± {deviation:.2%}, {seconds:.1f} s for a training", flush=True)


def support_vectors(train: cnn.Dataset, test: cnn.Dataset, seed: int) -> int:
    """Return how many digits the support vector classifier classifies correctly."""
    del seed  # nothing of it is random
    pixels, unseen = (part.images.reshape(len(part), -1) * (16 / 255) for part in (train, test))
    classifier = SVC(gamma=0.001, C=10).fit(pixels, train.labels)
    return int((classifier.predict(unseen) == test.labels).sum())


def by_recipe(described: recipe.Recipe) -> Judge:
    """Return a function that trains by a recipe and counts correct predictions."""

    def right(train: cnn.Dataset, test: cnn.Dataset, seed: int) -> int:
        options = dataclasses.replace(described.training, seed=seed)
        assembled = assembly.assemble(dataclasses.replace(described, training=options))
        train, test = (part.resize(assembled.recipe.data.image_size) for part in (train, test))
        task = dataclasses.replace(assembled.task, data=train, validation=None, metrics={})
        result = run_task(task, None, progress=False)
        return int((cnn.predict(result.model, test.images).argmax(axis=1) == test.labels).sum())

    return right


if __name__ == "__main__":
    main()
