"""mnist_cnn in PyTorch behind Starlette, a picture at a time: ``serving_contender.py PORT``.

It takes ``{"images": ["<base64>"]}``, as ``jaxcnn serve`` does, and decodes with Pillow.
"""

import base64
import io
import sys
import threading

import numpy as np
import torch
from PIL import Image
from torch import nn


def network() -> nn.Module:
    """Return mnist_cnn, for inference."""
    return nn.Sequential(
        nn.Conv2d(1, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 64, 3), nn.ReLU(),
        nn.Flatten(), nn.Linear(576, 10),
    ).eval()  # fmt: skip


def decode(text: str) -> torch.Tensor:
    """Return the picture in base64 as pixels."""
    with Image.open(io.BytesIO(base64.b64decode(text))) as picture:
        pixels = np.asarray(picture.convert("L").resize((28, 28)))
    return torch.from_numpy(pixels.copy())[None]


@torch.inference_mode()
def predict(model: nn.Module, images: torch.Tensor) -> list[list[float]]:
    """Return the probabilities of each image."""
    return torch.softmax(model(images.float() / 255), dim=1).tolist()


def answer(row: list[float]) -> dict[str, object]:
    """Return the five likeliest classes, as ``jaxcnn serve`` does."""
    order = np.argsort([-value for value in row])[:5].tolist()
    classes = [{"class": str(index), "probability": round(row[index], 6)} for index in order]
    return {"predictions": [{"classes": classes}]}


def serve(port: int) -> None:
    """Serve one picture at a time with Starlette and uvicorn."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    model, lock = network(), threading.Lock()

    def compute(text: str) -> dict:
        image = decode(text)[None]
        with lock:
            (row,) = predict(model, image)
        return answer(row)

    async def respond(request):
        values = await request.json()
        return JSONResponse(await run_in_threadpool(compute, values["images"][0]))

    application = Starlette(routes=[Route("/predict", respond, methods=["POST"])])
    uvicorn.run(application, port=port, log_level="error", access_log=False)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
