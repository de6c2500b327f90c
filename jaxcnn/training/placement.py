"""Where batches and training states live: the only place that sends them to devices."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import jax
from jax.sharding import NamedSharding, PartitionSpec, Sharding

from jaxcnn.data.batching import Batch, batches
from jaxcnn.data.dataset import Dataset

T = TypeVar("T")


@dataclass(frozen=True)
class Placement:
    """The devices on which batches and training states live.

    Attributes:
      batch: Sharding of the rows of a batch; ``None`` means JAX's default device.
      state: Sharding of the arrays of a state; ``None`` means JAX's default device.
    """

    batch: Sharding | None = None
    state: Sharding | None = None

    @classmethod
    def over(cls, mesh: jax.sharding.Mesh) -> "Placement":
        """Return data parallelism over the first axis of `mesh`: rows split, states replicated."""
        axis, *_ = mesh.axis_names
        rows = NamedSharding(mesh, PartitionSpec(axis))
        return cls(batch=rows, state=NamedSharding(mesh, PartitionSpec()))

    @property
    def num_devices(self) -> int:
        """Number of devices that share the rows of a batch."""
        return 1 if self.batch is None else self.batch.num_devices

    def put_state(self, state: T) -> T:
        """Return a tree of arrays where states live."""
        return state if self.state is None else jax.device_put(state, self.state)

    def put_rows(self, rows: T) -> T:
        """Return arrays with a batch axis where batches live.

        Without a sharding they stay where they are: a compiled step sends them to its device.
        """
        return rows if self.batch is None else jax.device_put(rows, self.batch)

    def batches(
        self,
        data: Dataset,
        batch_size: int,
        *,
        seed: int | None = None,
        epoch: int = 0,
        start: int = 0,
        balanced: bool = False,
    ) -> Iterator[Batch]:
        """Yield the batches of :func:`jaxcnn.data.batches`, where batches live."""
        for batch in batches(
            data, batch_size, seed=seed, epoch=epoch, start=start, balanced=balanced
        ):
            yield self.put_rows(batch)


ONE_DEVICE = Placement()
