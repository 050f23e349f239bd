"""Both kinds of arrays that the geometry serves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

# A busy machine is no failure.
settings.register_profile("kp3d", deadline=None)
settings.load_profile("kp3d")


@pytest.fixture(params=["numpy", "torch"])
def as_array(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    """Function that makes a double-precision array of one kind."""
    if request.param == "numpy":
        return lambda values: np.asarray(values, dtype=np.float64)
    torch = pytest.importorskip("torch", reason="needs torch")
    return lambda values: torch.as_tensor(np.array(values, dtype=np.float64))
