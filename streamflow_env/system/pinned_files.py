"""Files that a configuration names: found once, then kept by absolute path and digest, so that a run stays what it was.

A shipped file keeps its name, for it lies where the package lies; any other gets its absolute path.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from streamflow_env.errors import ConfigError

DIGEST = "digest"
"""The key beside the file's name that holds the SHA-256 of what it held."""


def digest_of(path: Path | str) -> str:
    """The SHA-256 of a file, in hexadecimal. Raises ConfigError where it cannot be read."""
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None


def pinned(data: Any, key: str, find: Callable[[str], tuple[str, Path]]) -> Any:
    """`data` with the file under `key` by the name that stays right in any folder, and its digest.

    `find` gives that name and the path. What is no mapping with a text there is left for others to refuse.

    Raises:
        ConfigError: the file is not there, or is not what it was when `data` was kept.
    """
    if not isinstance(data, dict) or not isinstance(data.get(key), str) or not data[key]:
        return data
    name, path = find(data[key])
    digest = digest_of(path)
    check_digest(path, data.get(DIGEST), digest)
    return {**data, key: name, DIGEST: digest}


def check_digest(path: Path | str, kept: Any, digest: str) -> None:
    """Raises ConfigError where a digest was `kept` and is not that of the file now."""
    if isinstance(kept, str) and kept != digest:
        raise ConfigError(
            f"{path}: has changed since this configuration was kept: its SHA-256 is {digest}, must be {kept}"
        )
