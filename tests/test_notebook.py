"""What a notebook shows, in a real kernel."""

import nbclient
import nbformat
import pytest

CELLS = [
    """
import jaxcnn as cnn
from flax import nnx
from jaxcnn.insight import plots
train = cnn.data.load("digits", image_size=8).take(slice(0, 128))
train
""",
    """
network = cnn.models.create("tiny_cnn", features=2)
cnn.summarize(network, (8, 8, 1), explain=True)
""",
    "result = cnn.fit(network.build((8, 8, 1), rngs=nnx.Rngs(0)), train, epochs=3)",
    "plots.learning_curves(result.history)",
]


@pytest.mark.long  # starts a kernel
def test_every_value_is_shown_as_itself_and_a_training_in_one_output():
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(cell) for cell in CELLS]
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    data, summary, training, curves = (cell.outputs for cell in notebook.cells)
    assert (
        data[0].data["text/plain"].startswith("Dataset(128 images (8, 8, 1) uint8, 10 classes: 0")
    )
    table = summary[0].data["text/html"]
    assert table.count("<tr>") == 1 + 1 + 13 + 5  # header, input, layers, formulas
    assert "<i>n_H = n_W = ⌊(8 − 3 + 2·1) / 1⌋ + 1 = 8</i>" in table
    assert "Total parameters: " in table
    (progress,) = training
    assert progress.output_type == "display_data"
    lines = progress.data["text/html"].splitlines()
    assert [line.partition("epoch ")[2][:3] for line in lines[:3]] == ["1/3", "2/3", "3/3"]
    assert curves[0].data["image/png"].startswith("iVBOR")
