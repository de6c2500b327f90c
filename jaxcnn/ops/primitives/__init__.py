"""How operations are computed: one JAX primitive per file."""

__all__: list[str] = []
