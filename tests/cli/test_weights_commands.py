"""``predict`` and ``evaluate`` with a model of the zoo and a file of its weights."""

import numpy as np
import pytest
from flax import nnx
from PIL import Image
from safetensors.numpy import save_file

import jaxcnn as cnn
from jaxcnn.interchange.names import translate
from jaxcnn.interchange.torch_names import CONVENTIONS
from jaxcnn.layers.weights import array_shapes

NAME = "shufflenet_v2_x0_5"
PHOTOGRAPHS = [
    np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    for seed, shape in enumerate([(300, 410, 3), (280, 240)])
]


def write_weights(path, classes=1000):
    """Write random arrays with the names and layouts of torchvision."""
    rng = np.random.default_rng(0)
    own = array_shapes(cnn.models.create(NAME, num_classes=classes), (224, 224, 3))
    names = translate(own, CONVENTIONS["shufflenet"][0].rules(own))
    arrays = {
        names[name]: rng.normal(0, 0.1, (*shape[::-1][:2], *shape[:-2])).astype(np.float32)
        for name, shape in own.items()
    }
    arrays |= {name: np.abs(array) + 1 for name, array in arrays.items() if "var" in name}
    save_file(arrays, path)
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return write_weights(tmp_path_factory.mktemp("weights") / "weights.safetensors")


@pytest.fixture(scope="module")
def known(weights):
    """Probabilities of the photographs, resized and cropped as torchvision does it."""
    images = []
    for pixels in PHOTOGRAPHS:
        picture = Image.fromarray(pixels).convert("RGB")
        short = min(picture.size)
        resized = picture.resize(
            tuple(side * 256 // short for side in picture.size), Image.Resampling.BILINEAR
        )
        left, top = (round((side - 224) / 2) for side in resized.size)
        images.append(np.asarray(resized)[top : top + 224, left : left + 224])
    network = cnn.models.create(NAME, weights=weights)
    model = network.build((224, 224, 3), rngs=nnx.Rngs(0))
    return cnn.predict(model, np.stack(images))


@pytest.fixture
def photographs(tmp_path):
    """One photograph each in folders of two of ImageNet's classes."""
    paths = [tmp_path / "set" / "tabby" / "0.png", tmp_path / "set" / "espresso" / "1.png"]
    for path, pixels in zip(paths, PHOTOGRAPHS, strict=True):
        path.parent.mkdir(parents=True)
        Image.fromarray(pixels).save(path)
    return paths


def likeliest(row, names, count):
    best = np.argsort(-row)[:count]
    return "  ".join(f"{names[number]}  {row[number]:.1%}" for number in best)


def test_predict_prints_the_likeliest_classes_by_name(weights, known, photographs, call_cli):
    given = "--model", NAME, "--weights", weights
    names = cnn.models.imagenet_classes()
    for options, count in (((), 5), (("--top", 2), 2)):
        result = call_cli("predict", *given, *photographs, *options)
        assert result.returncode == 0, result.stderr
        for line, path, row in zip(result.stdout.splitlines(), photographs, known, strict=True):
            assert line.removeprefix(str(path)).strip() == likeliest(row, names, count)


def test_evaluate_measures_on_a_folder_by_class_names(weights, known, photographs, call_cli):
    result = call_cli(
        "evaluate", "--model", NAME, "--weights", weights, "--data", photographs[0].parents[1]
    )
    assert result.returncode == 0, result.stderr
    loss = -np.log(known[[0, 1], [281, 967]]).mean()  # tabby and espresso
    assert float(result.stdout.split("loss")[1].split()[0]) == pytest.approx(loss, abs=2e-4)


def test_classes_without_names_are_numbered(photographs, tmp_path, call_cli):
    seven = write_weights(tmp_path / "seven.safetensors", classes=7)
    result = call_cli("predict", "--model", NAME, "--weights", seven, photographs[0], "--top", 7)
    answer = result.stdout.removeprefix(str(photographs[0])).split()
    assert sorted(answer[::2]) == list("0123456")


WRONG = [
    (("predict", "photo.png"), "give the folder of a run and the files of pictures, or --model"),
    (("predict", "--model", NAME, "photo.png"), "give the folder of a run and the files of"),
    (("predict", "--weights", "w.pth", "photo.png"), "give --model"),
    (("predict", "--model", NAME, "--weights", "w.pth", "photo.png"), "no file of weights"),
    (("evaluate",), "give the folder of a run, or --model and --weights"),
    (("evaluate", "--model", NAME), "give the folder of a run, or --model and --weights"),
    (("evaluate", "run", "--model", NAME, "--weights", "w.pth"), "take the place of a run"),
    (("evaluate", "--model", NAME, "--weights", "WEIGHTS"), "weights do not name their data"),
]


@pytest.mark.parametrize(("words", "message"), WRONG)
def test_what_is_missing_is_told(words, message, weights, call_cli):
    result = call_cli(*(str(weights) if word == "WEIGHTS" else word for word in words))
    assert result.returncode == 2
    assert message in result.stderr
