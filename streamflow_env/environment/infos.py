"""Infos of many cells in the form of Gymnasium's vector environments: a dictionary of arrays, each with a mask."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def as_vector_info(info: dict[str, Any], cells: NDArray[np.bool_]) -> dict[str, Any]:
    """`info` with masks. Its values are arrays of shape (num_cells, …), or dictionaries of such arrays.

    Only the `cells`, shape (num_cells,), have the info. Each `key` gets a mask `_key`, shape (num_cells,), of the cells
    that have it. The others hold 0 or None. Where no cell has the info, the result is empty. All masks are one
    read-only array.
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
    """The info of one cell, in the form of a single environment."""
    own: dict[str, Any] = {}
    for key, value in info.items():
        if key.startswith("_") or not info[f"_{key}"][cell]:
            continue
        own[key] = of_cell(value, cell) if isinstance(value, dict) else _plain(value[cell])
    return own


def _plain(value: Any) -> Any:
    """One cell's value: a number as Python's own, an array as a copy, which keeps no other cell's in memory."""
    if isinstance(value, np.ndarray):
        return value.copy()
    return value.item() if isinstance(value, np.generic) else value


def of_every_cell(info: dict[str, Any], num_cells: int) -> list[dict[str, Any]]:
    """The info of each cell. Faster than `of_cell`; every cell must have every key."""
    columns = {
        key: of_every_cell(value, num_cells) if isinstance(value, dict) else _column(value)
        for key, value in info.items()
        if not key.startswith("_")
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _column(values: NDArray[Any]) -> list[Any]:
    """Each cell's value: numbers of Python, or arrays that are rows of `values`."""
    return values.tolist() if values.ndim == 1 else list(values)
