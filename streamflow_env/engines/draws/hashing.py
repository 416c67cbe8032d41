"""Counter-based random numbers: a draw depends on what it is for, and not on when it is made.

The generator is SplitMix64 (Steele, Lea, Flood 2014; the constants are those of its reference implementation). The
n-th output of SplitMix64 seeded with `key` is `mix(key + (n + 1) · GAMMA)`: a hash, so outputs can be had in any order.
Each (seed, source of requests, request) has a key of its own, and (attempt, call, round, purpose) say which n. The
results are the same bits with the JIT on and off.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from streamflow_env.engines.compiling import kernel

GAMMA: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX_1: Final = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2: Final = np.uint64(0x94D049BB133111EB)
_S30: Final = np.uint64(30)
_S27: Final = np.uint64(27)
_S31: Final = np.uint64(31)
_S12: Final = np.uint64(12)
_ONE: Final = np.uint64(1)
_TO_UNIT: Final = 2.0**-52

# What a draw is for. Every trajectory depends on these numbers: append, and do not renumber. 13, 14 and 19 are not
# used any more: who asks the LLM, falls back and is deferred depends on the user's `llm_benefit`.
INTERARRIVAL: Final = 0
CLASS: Final = 1
RETURNS: Final = 2
RETURN_GAP: Final = 3
RETURN_PICK: Final = 4
POPULARITY: Final = 5
PREMIUM: Final = 6
SERVICE_TIME: Final = 7
FAULT: Final = 8
TTL: Final = 9
CALL_LATENCY: Final = 10
ATTEMPT_CPU: Final = 11
BACKOFF: Final = 12
RETRY: Final = 15
THINK: Final = 16
INVALIDATED_KEY: Final = 17
ITEM: Final = 18
REPLICA: Final = 20
STALE: Final = 21
EVICTED: Final = 22
LLM_BENEFIT: Final = 23
NUM_PURPOSES: Final = 64

# What a key belongs to: the arrival stream, a user, a request, a consumer's batches, the jobs of a deferred queue, the
# evictions for want of memory in a cache, an observation.
ARRIVALS: Final = 0
USERS: Final = 1
REQUESTS: Final = 2
BATCHES: Final = 3
DEFERRED: Final = 4
MEMORY: Final = 5
OBSERVED: Final = 6


@kernel
def mix(z: np.uint64) -> np.uint64:
    """SplitMix64's output function of a 64-bit state."""
    z = (z ^ (z >> _S30)) * _MIX_1
    z = (z ^ (z >> _S27)) * _MIX_2
    return z ^ (z >> _S31)


@kernel
def stream_key(seed: int, source: int, index: int) -> np.uint64:
    """The key of item `index` of `source` under `seed` (all non-negative)."""
    base = mix(np.uint64(seed) + (np.uint64(source) + _ONE) * GAMMA)
    return mix(base + (np.uint64(index) + _ONE) * GAMMA)


@kernel
def draw_index(purpose: int, attempt: int, call: int, round_: int) -> int:
    """Which number of a key: attempt below 8, call below 2^16, round below 2^10."""
    return ((attempt * 65536 + call) * 1024 + round_) * NUM_PURPOSES + purpose


@kernel
def uniform(key: np.uint64, index: int) -> float:
    """Number `index` of `key`, uniform on the open interval (0, 1): (52 bits + 1/2) · 2^-52."""
    bits = mix(key + (np.uint64(index) + _ONE) * GAMMA)
    return (np.float64(bits >> _S12) + 0.5) * _TO_UNIT


@kernel
def raw(key: np.uint64, index: int) -> np.uint64:
    """The 64 bits behind `uniform`; number `index` of SplitMix64 seeded with `key`."""
    return mix(key + (np.uint64(index) + _ONE) * GAMMA)
