"""Policies for the environments: baselines, training, evaluation.

Importing it asks OpenMP for one thread that does not spin, unless the caller's environment says otherwise: on a busy
machine torch's waiting threads cost far more than they give.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
