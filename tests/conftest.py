"""What every test needs: one thread for torch and OpenMP, set before torch is imported; hypothesis without deadlines.

On a shared machine a deadline of wall-clock time measures the machine; and spinning threads slow down all others.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("MPLBACKEND", "Agg")

from hypothesis import settings

settings.register_profile("house", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("house")
