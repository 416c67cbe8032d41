"""Files of named arrays, read such that nothing in them is executed."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamflow_env.errors import ConfigError


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of the `.npz` file `path` by name.

    Raises:
        ConfigError: it cannot be read; it is no such file; it holds objects, or is compressed, which could fill memory.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            packed = [item.filename for item in archive.infolist() if item.compress_type != zipfile.ZIP_STORED]
        if packed:
            raise ValueError(f"{packed[0]} is compressed")
        with np.load(path, allow_pickle=False) as kept:
            arrays = {name: kept[name] for name in kept.files}
    except Exception as error:  # a file of something else may raise anything: zlib.error, EOFError, TokenError ...
        raise ConfigError(f"{path}: not a file of arrays: {error}") from None
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise ConfigError(f"{path}: {name}: not an array")
    return arrays


class ArrayFile:
    """Arrays that were read from `path`, handed out one by one and checked."""

    def __init__(self, path: Path, arrays: dict[str, NDArray[Any]]) -> None:
        self.path = path
        self._left = dict(arrays)

    def take(self, name: str, shape: tuple[int, ...] | None, kind: str, *, finite: bool = True) -> NDArray[Any]:
        """The array `name`, of `shape` (None: any) and of the NumPy type `kind`, such as `float32`.

        Raises:
            ConfigError: it is missing, has another shape or type, or a number that is not finite if it must be.
        """
        if name not in self._left:
            raise ConfigError(f"{self.path}: {name}: is missing")
        array = self._left.pop(name)
        if shape is not None and array.shape != shape:
            raise ConfigError(f"{self.path}: {name}: has shape {array.shape}, must be {shape}")
        if array.dtype != np.dtype(kind):
            raise ConfigError(f"{self.path}: {name}: holds {array.dtype}, must be {kind}")
        if finite and not np.isfinite(array).all():
            raise ConfigError(f"{self.path}: {name}: holds a number that is not finite")
        return array

    def names(self, start: str = "") -> list[str]:
        """The names beginning with `start` of what was not taken yet."""
        return [name for name in self._left if name.startswith(start)]
