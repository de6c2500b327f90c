"""Compares inference of whole networks with the peers'."""

import models

if __name__ == "__main__":
    models.run(["infer 1", "infer 64"])
