"""mnist_cnn in PyTorch behind LitServe: ``serving_litserve.py PORT batched|single``."""

import sys

import litserve
import torch
from serving_contender import answer, decode, network, predict


class _Api(litserve.LitAPI):  # of the file, as LitServe's processes read it from there
    def setup(self, device: str) -> None:
        self.model = network()

    def decode_request(self, request: dict) -> torch.Tensor:
        return decode(request["images"][0])

    def batch(self, inputs: list) -> torch.Tensor:
        return torch.stack(inputs)

    def predict(self, images: torch.Tensor) -> list:
        found = predict(self.model, images if images.ndim == 4 else images[None])
        return found if images.ndim == 4 else found[0]

    def unbatch(self, output: list) -> list:
        return output

    def encode_response(self, row: list) -> dict:
        return answer(row)


def main() -> None:
    """Serve; batches wait as long as those of ``jaxcnn serve``."""
    _, port, batching = sys.argv
    options = {"max_batch_size": 64, "batch_timeout": 0.005} if batching == "batched" else {}
    litserve.LitServer(_Api(**options), accelerator="cpu", fast_queue=True).run(
        host="127.0.0.1", port=int(port), log_level="error", generate_client_file=False
    )


if __name__ == "__main__":
    main()
