"""Where batches and training states live: the only place that sends them to devices.

The rows of a batch are shared by the devices, and one program computes on all of them: each array
has a sharding, and XLA adds the exchange that a mean over the batch needs. So the values are those
of one device, whatever the number.
"""

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec, Sharding

from jaxcnn import arguments
from jaxcnn.data.batching import BatchSource, batches
from jaxcnn.data.drawing import Drawn
from jaxcnn.modules.parameter_tree import from_numbers, numbers_of

T = TypeVar("T")

Devices: TypeAlias = Literal["all"] | int | Mesh
"""The type of `devices`: all, a number of them, or a mesh, as in :meth:`Placement.over`."""

_ROWS = "batch"
# Smaller arrays are on every device: an exchange of them would take longer than it saves memory.
_FEW_VALUES = 1 << 10


@dataclass(frozen=True)
class Placement:
    """The devices on which batches and training states live.

    Attributes:
      mesh: The devices; ``None`` means JAX's default device alone.
      axis: Name of the axis of the mesh over which the rows of a batch are split.
      shard_parameters: Whether large arrays of a state are split over that axis, too.
    """

    mesh: Mesh | None = None
    axis: str = _ROWS
    shard_parameters: bool = False

    @classmethod
    def over(
        cls, devices: Devices, *, shard_parameters: bool = False, local: bool = False
    ) -> "Placement":
        """Return the placement over some devices.

        Args:
          devices: ``"all"``; the number of devices, the first ones; or a mesh with
            one axis, or one of the name ``"batch"`` or ``"data"``, over which the rows are split.
          shard_parameters: Whether each array of at least 1,024 values of the parameters, of the
            optimizer's state and of their moving average is split along its largest axis that the
            devices divide, as in ZeRO (Rajbhandari et al., 2019, arXiv 1910.02054): it takes less
            memory, and is collected where a layer reads it.
          local: Whether of several processes that work together this one computes alone.

        Raises:
          TypeError: `devices` is none of these.
          ValueError: there are fewer devices, or the mesh has no such axis.
        """
        if isinstance(devices, Mesh):
            return cls._of_mesh(devices, shard_parameters)
        found = jax.local_devices() if local else jax.devices()
        chosen = _choose(devices, found)
        if len(chosen) == 1:
            return cls()
        return cls(Mesh(np.array(chosen), (_ROWS,)), _ROWS, shard_parameters)

    @classmethod
    def _of_mesh(cls, mesh: Mesh, shard_parameters: bool) -> "Placement":
        names = tuple(mesh.axis_names)
        named = [name for name in (_ROWS, "data") if name in names] or list(names)
        if len(named) > 1 and _ROWS not in names:
            raise ValueError(
                "a mesh of several axes must name the one over which rows are split 'batch' or "
                f"'data'. Received: axes {names}"
            )
        # The axes of jax.make_mesh are explicit; the step leaves the exchange to the compiler.
        return cls(Mesh(mesh.devices, names), named[0], shard_parameters)

    @property
    def num_devices(self) -> int:
        """Number of devices that share the rows of a batch."""
        return 1 if self.mesh is None else self.mesh.shape[self.axis]

    @property
    def processes(self) -> int:
        """Number of processes that have a part of the devices."""
        if self.mesh is None or self._sharding().is_fully_addressable:
            return 1
        return jax.process_count()

    @property
    def leads(self) -> bool:
        """Whether this process writes files and prints, as number 0 or the only one does."""
        return self.processes == 1 or jax.process_index() == 0

    def rows_of_a_step(self, data: BatchSource, batch_size: int, *, parts: int = 1) -> int:
        """Return the rows of each step of a training on `data`.

        They are `batch_size`; of fewer images all, filled up to equal parts and devices; or as many
        as the source gives.

        Raises:
          ValueError: as :meth:`check_batch_size`.
        """
        rows, count = data.fixed_batch_size or batch_size, data.num_examples
        self.check_batch_size(rows, parts=parts)
        if data.fixed_batch_size is not None or count is None:
            return rows
        shares = self.num_devices * parts
        return min(rows, -(-count // shares) * shares)

    def check_batch_size(self, batch_size: int, *, parts: int = 1) -> None:
        """Check that the devices divide each of the equal parts of a batch.

        Raises:
          ValueError: they do not; the message names the nearest sizes that they divide.
        """
        shares = self.num_devices * parts
        if batch_size % shares:
            below = batch_size // shares * shares
            nearest = f"{below} or {below + shares}" if below else str(shares)
            of_parts = f" in {parts} parts" if parts > 1 else ""
            raise ValueError(
                f"batch_size must be divided by the {self.num_devices} devices{of_parts}: "
                f"{nearest}. Received: batch_size={batch_size}. For fewer devices give devices=n"
            )

    def put_state(self, state: T) -> T:
        """Return a tree of arrays where states live."""
        if self.mesh is None:
            return state
        return jax.tree.map(lambda array: place(array, self._of_state(array)), state)

    def keep_state(self, state: T) -> T:
        """Return a traced tree of arrays that stays where states live; see :meth:`put_state`."""
        if self.mesh is None:
            return state

        def kept(array: jax.Array) -> jax.Array:
            return jax.lax.with_sharding_constraint(array, self._of_state(array))

        return jax.tree.map(kept, state)

    def put_rows(self, rows: T) -> T:
        """Return arrays with a batch axis where batches live.

        With one device they stay where they are: a compiled step sends them there. Each of several
        processes gives its own share of the rows.
        """
        if self.mesh is None:
            return rows
        sharding = self._sharding(self.axis)
        if sharding.is_fully_addressable:
            return jax.device_put(rows, sharding)
        return jax.tree.map(
            lambda own: jax.make_array_from_process_local_data(sharding, np.asarray(own)), rows
        )

    def take(self, state: T) -> T:
        """Return a tree of whole arrays on this process's default device."""
        if self.mesh is None:
            return state

        def taken(array: jax.Array) -> jax.Array:
            return from_numbers(jnp.asarray(np.asarray(numbers_of(array))), array)

        return jax.tree.map(taken, self.gather(state))

    def gather(self, tree: T) -> T:
        """Return arrays that every process can read, such as outputs of the rows of a batch."""
        if self.processes == 1:
            return tree
        return jax.jit(lambda tree: tree, out_shardings=self._sharding())(tree)

    def batches(
        self,
        data: BatchSource,
        batch_size: int,
        *,
        seed: int | None = None,
        epoch: int = 0,
        start: int = 0,
        balanced: bool = False,
        state: Any = None,
    ) -> Drawn:
        """Return the batches of :func:`jaxcnn.data.batches`, where batches live.

        Each of several processes reads its own share of each batch.
        """
        shard = jax.process_index() if self.processes > 1 else 0
        drawn = batches(
            data,
            batch_size,
            seed=seed,
            epoch=epoch,
            start=start,
            balanced=balanced,
            shard=shard,
            num_shards=self.processes,
            state=state,
        )
        return drawn.map(self.put_rows)

    def largest(self, number: int) -> jax.Array:
        """Return the largest of the numbers with which the processes call this at a time."""
        own = np.full(self.num_devices // self.processes, number, np.int32)
        return _largest(self.put_rows(own))

    def _sharding(self, *axes: str | None) -> NamedSharding:
        assert self.mesh is not None
        return NamedSharding(self.mesh, PartitionSpec(*axes))

    def _of_state(self, array: jax.Array) -> NamedSharding:
        """Return the sharding of an array of a state, which its shape alone decides."""
        shape = array.shape
        divided = [size if size % self.num_devices == 0 else 0 for size in shape]
        if not self.shard_parameters or math.prod(shape) < _FEW_VALUES or not any(divided):
            return self._sharding()
        along = divided.index(max(divided))
        return self._sharding(*[self.axis if axis == along else None for axis in range(len(shape))])


def _choose(devices: Any, found: list[jax.Device]) -> list[jax.Device]:
    """Return the devices of a number or a word, those of each process side by side."""
    found = sorted(found, key=lambda device: (device.process_index, device.id))
    counts = Counter(device.process_index for device in found)
    processes = len(counts)
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{count} on process {number}" for number, count in counts.items())
        raise ValueError(f"all processes must have the same number of devices. Received: {listed}")
    if isinstance(devices, str):
        arguments.check_choice("devices", devices, ("all",))
        return found
    if not isinstance(devices, int | np.integer) or isinstance(devices, bool):
        raise TypeError(
            f"devices must be 'all', a number or a mesh. Received: {arguments.shown(devices)}"
        )
    if not 1 <= devices <= len(found):
        raise ValueError(
            f"devices must be at least 1 and at most the number of devices, {len(found)}. "
            f"Received: devices={devices}"
        )
    if processes > 1 and devices != len(found):
        raise ValueError(
            f"devices must be 'all' where {processes} processes train together. "
            f"Received: devices={devices} of {len(found)}"
        )
    return found[: int(devices)]


def place(array: jax.Array, sharding: Sharding) -> jax.Array:
    """Return an array that each process has whole where a sharding places its parts."""
    if sharding.is_fully_addressable:
        return jax.device_put(array, sharding)
    numbers = np.asarray(numbers_of(array))
    placed = jax.make_array_from_callback(numbers.shape, sharding, lambda part: numbers[part])
    return from_numbers(placed, array)


_largest = jax.jit(jnp.max)
ONE_DEVICE = Placement()
