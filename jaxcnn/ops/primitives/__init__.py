"""JAX primitives, their strategies, and the choice between them.

One file per primitive family (``convolution``, ``maximum``, ``summation``, ``channels``), one file
per strategy (``conv_*``, ``max_*``, ``sum_*``), and one file, ``strategy_choice``, that selects a
strategy from the operation and the shapes. Times beside the strategies are the minimum of several
runs in milliseconds, float32, on two cores with jax 0.10.2, interleaved with XLA's own lowering;
``examples/benchmarks/ops.py`` repeats them.
"""

__all__: list[str] = []
