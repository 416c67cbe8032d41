"""The published experiments once more, in a few lines of Python that share nothing with the engines."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

SERVICE_RPS = 100.0
DEADLINE_S = 1.0
RETRIES = 3
SPIKE_RPS = 200.0
SPIKE_START_S = 30.0


def plain_storm(
    seed: int, *, spike_s: float = 10.0, drops_expired: bool = False, horizon_s: int = 120, base_rps: float = 70.0
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Experiment B: first attempts and answers in each second. An attempt is [earlier tries, expired, answered]."""
    rng, count = random.Random(seed), itertools.count()
    events: list[tuple[float, int, str, list[Any]]] = []
    queue: deque[list[Any]] = deque()
    intents, answers = np.zeros(horizon_s, np.int64), np.zeros(horizon_s, np.int64)
    is_busy = False

    def at(time_s: float, kind: str, attempt: list[Any]) -> None:
        heapq.heappush(events, (time_s, next(count), kind, attempt))

    def serve_next(now_s: float) -> bool:
        while queue:
            attempt = queue.popleft()
            if not (drops_expired and attempt[1]):
                at(now_s + rng.expovariate(SERVICE_RPS), "served", attempt)
                return True
        return False

    time_s = 0.0
    while (time_s := time_s + rng.expovariate(SPIKE_RPS)) < horizon_s:
        rate = SPIKE_RPS if SPIKE_START_S <= time_s < SPIKE_START_S + spike_s else base_rps
        if rng.random() < rate / SPIKE_RPS:
            at(time_s, "sent", [0, False, False])
    while events and events[0][0] < horizon_s:
        now_s, _, kind, attempt = heapq.heappop(events)
        if kind == "sent":
            intents[int(now_s)] += attempt[0] == 0
            queue.append(attempt)
            at(now_s + DEADLINE_S, "deadline", attempt)
            is_busy = is_busy or serve_next(now_s)
        elif kind == "deadline":
            attempt[1] = not attempt[2]
            if attempt[1] and attempt[0] < RETRIES:
                at(now_s, "sent", [attempt[0] + 1, False, False])
        else:
            attempt[2] = not attempt[1]
            answers[int(now_s)] += attempt[2]
            is_busy = serve_next(now_s)
    return intents, answers


def plain_cold_cache(draw_key: Callable[[], int], fills: int, *, flush_s: int = 4, horizon_s: int = 59) -> list[float]:
    """Experiment C: the hit ratio of each second. An LRU of 1000, first with the 1000 most popular keys."""
    cache: OrderedDict[int, None] = OrderedDict.fromkeys(range(1000))
    ratios = []
    for second in range(horizon_s):
        if second == flush_s:
            cache.clear()
        hits, left = 0, fills
        for key in (draw_key() for _ in range(1000)):
            if key in cache:
                hits += 1
                cache.move_to_end(key)
            elif left > 0:
                left -= 1
                cache[key] = None
                if len(cache) > 1000:
                    cache.popitem(last=False)
        ratios.append(hits / 1000)
    return ratios
