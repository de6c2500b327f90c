"""A training of the command line whose pictures are decoded as they come."""

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.implicit_promotion


def test_the_command_line_streams_and_says_so(tmp_path, call_cli):
    random = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number in range(10):
            pixels = random.integers(0, 256, (20, 24, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pets" / name / f"{number}.png")
    arguments = ("train", "--data", "pets", "--model", "mnist_cnn", "--image-size", "28")
    arguments += ("--epochs", "1", "--set", "data.random_crop=[0.3, 1.0]", "--out", "run")
    refused = call_cli(*arguments, "--cache", cwd=tmp_path)
    assert refused.returncode == 2
    assert "random_crop needs pictures that are decoded as they come" in refused.stderr
    streamed = call_cli(*arguments, "--stream", cwd=tmp_path)
    assert streamed.returncode == 0, streamed.stderr
    assert "Training on 16 images of" in streamed.stdout
    assert "pets, decoded as they come, testing on 4" in streamed.stdout
    recipe = (tmp_path / "run" / "recipe.toml").read_text()
    assert "stream = true" in recipe
    assert "random_crop = [0.3, 1.0]" in recipe
