"""Machine code that Numba has cached is dropped when any kernel's source has changed.

Numba keeps compiled functions in `__pycache__` and compiles a function anew when its own file changes, but not when a
function that it calls, in another file, does: after an edit or an update the old machine code would go on running.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

_FOLDER = Path(__file__).parent
_STAMP = _FOLDER / "__pycache__" / "kernels.sha256"


def drop_stale_kernels(folder: Path = _FOLDER, stamp: Path = _STAMP) -> bool:
    """Delete the cached machine code below `folder` if sources have changed since `stamp`; whether they had.

    Where nothing can be written (an installed package) nothing can have been cached there either.
    """
    digest = hashlib.sha256()
    for source in sorted(folder.rglob("*.py")):
        digest.update(source.read_bytes())
    now = digest.hexdigest()
    try:
        if stamp.is_file() and stamp.read_text(encoding="ascii") == now:
            return False
        for pattern in ("*.nbi", "*.nbc"):
            for cached in folder.rglob(f"__pycache__/{pattern}"):
                cached.unlink(missing_ok=True)
        stamp.parent.mkdir(exist_ok=True)
        stamp.write_text(now, encoding="ascii")
    except OSError:
        pass
    return True
