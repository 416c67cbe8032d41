"""The arrays that an engine holds, found by looking: what a cell needs of memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def arrays_of(engine: object, prefix: str = "") -> dict[str, NDArray[Any]]:
    """Every array that an engine, or a part of it, holds, by name; one that is held twice comes once."""
    found: dict[str, NDArray[Any]] = {}
    as_dict = getattr(engine, "_asdict", None)
    members = vars(engine) if as_dict is None else as_dict()
    for name, value in members.items():
        if isinstance(value, np.ndarray):
            found[prefix + name.lstrip("_")] = value
        elif type(value).__module__.startswith("streamflow_env.engines"):
            found |= arrays_of(value, f"{prefix}{name.lstrip('_')}.")
    first_of = {id(array): name for name, array in reversed(found.items())}
    return {name: array for name, array in found.items() if first_of[id(array)] == name}
