"""Where the machine code of the kernels is cached: in one folder for each version of their sources.

Numba compiles a function again when the file of that function changes. It does not when only a function that it calls,
in another file, has changed: after an edit or an update the old machine code would go on running. So the name of the
folder holds a digest of all sources that kernels are made of. A changed source is a new, empty folder.

The folder lies below the first of these that can be written to:

1. `NUMBA_CACHE_DIR`, if the user has set it;
2. the package's own `__pycache__`;
3. `$XDG_CACHE_HOME/streamflow_env`, by default `~/.cache/streamflow_env`.

Where none can be written to, the kernels are compiled anew in every process, and a warning says so once.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Final

PACKAGE: Final = Path(__file__).resolve().parents[1]
SOURCES: Final = ("engines/*.py", "engines/compiled/*.py", "engines/draws/*.py", "system/*.py", "episode.py")
"""The sources that kernels are made of: the kernels, and the constants of other modules that are compiled into them."""
PREFIX: Final = "streamflow-kernels-"
UNUSED_DAYS: Final = 3.0
"""How long a folder of other sources stays after the last process began to use it. Assumed: no run takes longer."""


@functools.cache
def kernel_folder(chosen: str) -> Path | None:
    """The folder for the machine code of this package's kernels; None, with a warning, where nothing can be cached.

    `chosen` is Numba's own setting, which `NUMBA_CACHE_DIR` sets; empty if there is none.
    """
    folder = make_folder(places(chosen), digest(PACKAGE))
    if folder is None:
        tried = ", ".join(map(str, places(chosen)))
        warnings.warn(
            f"cannot cache the simulator's machine code: cannot write to any of {tried}. "
            "Every process compiles it again, which takes about half a minute. NUMBA_CACHE_DIR can name a folder.",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
    drop_unused(folder)
    return folder


def digest(package: Path) -> str:
    """A digest of the kernels' sources in `package`."""
    found = hashlib.sha256()
    for pattern in SOURCES:
        for source in sorted(package.glob(pattern)):
            found.update(str(source.relative_to(package)).encode() + b"\0" + source.read_bytes() + b"\0")
    return found.hexdigest()[:16]


def places(chosen: str) -> list[Path]:
    """The folders that can hold the caches, best first."""
    own = [Path(chosen)] if chosen else []
    caches = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    users = [caches / "streamflow_env"] if caches.is_absolute() else []
    return [*own, PACKAGE / "engines" / "__pycache__", *users]


def make_folder(bases: Iterable[Path], name: str) -> Path | None:
    """The folder of the digest `name` below the first of `bases` that can be written to, made; None if none can be."""
    for base in bases:
        folder = (base / f"{PREFIX}{name}").absolute()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
            os.utime(folder)
        except OSError:
            continue
        return folder
    return None


def drop_unused(current: Path) -> None:
    """Delete the folders beside `current` that no process has begun to use for `UNUSED_DAYS`.

    Younger ones stay: another version of the package may share the place, and processes that run still write there.
    """
    for folder in current.parent.glob(f"{PREFIX}*"):
        try:
            is_unused = time.time() - folder.stat().st_mtime > UNUSED_DAYS * 86_400
        except OSError:  # another process has just deleted it
            continue
        if is_unused and folder != current:
            shutil.rmtree(folder, ignore_errors=True)
