"""Compares training steps of whole networks with those of the peers."""

import models

if __name__ == "__main__":
    models.run(["train"])
