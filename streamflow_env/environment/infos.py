"""Infos of many cells, as Gymnasium's vector environments hand them out: a dictionary of arrays, each with a mask."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def as_vector_info(info: dict[str, Any], cells: NDArray[np.bool_]) -> dict[str, Any]:
    """`info`, whose values are arrays of shape (num_cells, …) or dictionaries of such, of those `cells` that have it.

    Beside each `key` there is `_key`, shape (num_cells,): which cells have it; the others show 0 or None. Where no cell
    has it there is no key. The masks are one array, which cannot be written to.
    """
    if not cells.any():
        return {}
    mask = cells.copy()
    mask.flags.writeable = False
    return _masked(info, mask, bool(mask.all()))


def _masked(info: dict[str, Any], mask: NDArray[np.bool_], is_whole: bool) -> dict[str, Any]:
    masked: dict[str, Any] = {}
    for key, value in info.items():
        if isinstance(value, dict):
            masked[key] = _masked(value, mask, is_whole)
        else:
            masked[key] = value if is_whole else _only(value, mask)
        masked[f"_{key}"] = mask
    return masked


def _only(values: NDArray[Any], mask: NDArray[np.bool_]) -> NDArray[Any]:
    some = np.full_like(values, None if values.dtype == object else 0)
    some[mask] = values[mask]
    return some


def of_cell(info: dict[str, Any], cell: int) -> dict[str, Any]:
    """The info of one cell, as its environment alone would have given it."""
    own: dict[str, Any] = {}
    for key, value in info.items():
        if key.startswith("_") or not info[f"_{key}"][cell]:
            continue
        own[key] = of_cell(value, cell) if isinstance(value, dict) else _plain(value[cell])
    return own


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def of_every_cell(info: dict[str, Any], num_cells: int) -> list[dict[str, Any]]:
    """`of_cell` of each cell, where every cell has every key; quicker."""
    columns = {
        key: of_every_cell(value, num_cells) if isinstance(value, dict) else value.tolist()
        for key, value in info.items()
        if not key.startswith("_")
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
