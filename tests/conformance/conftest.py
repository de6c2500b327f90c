"""The tables of the suites, printed at the end: `pytest -s` shows them."""

import pytest
import torch
from outcomes import Table

torch.set_num_threads(1)  # the arrays are small: threads cost more than they bring


@pytest.fixture(scope="module")
def table(request):
    """One row for each operation of a peer's suite."""
    rows = Table(request.module.__doc__.splitlines()[0])
    yield rows
    print(f"\n{rows}")
