"""A plan that comes back to the pool at which it entered: a request can wait for the very worker that it holds."""

from __future__ import annotations

import pytest

from streamflow_env.engines import ENGINE_NAMES
from tests.engines.tiny import ENTRY_MS, MS, NETWORK_MS, pool, run, schedule, tiny_system

pytestmark = pytest.mark.parametrize("engine", ENGINE_NAMES)


def test_a_deadline_gives_a_request_the_worker_that_it_held_itself(engine: str) -> None:
    """One worker: it waits for itself from 15 ms on; at 150 ms the entry gives that worker back, and it has it."""
    front = pool(ENTRY_MS, serves_abandoned=False)
    system = tiny_system({"front": front}, [{"call": "front"}], users={"deadline_s": 0.15})
    episode, (sent,) = schedule(system, {100: 1})

    result = run(engine, system, episode)

    arrived, gone = sent + NETWORK_MS * MS, sent + 150 * MS
    entered = arrived + ENTRY_MS * MS
    assert result.visits == [
        (0, 0, 0, 0, "front", arrived, arrived, gone, "deadline"),
        (0, 0, 1, 0, "front", entered, gone, gone + ENTRY_MS * MS, "ok"),
    ]
    assert result.answers == [(0, 0, sent, gone, "deadline", 0)]
    assert result.service("front", "abandoned") == [0]
    assert result.service("front", "completions") == result.service("front", "failed") == [1]


def test_who_waits_behind_another_departs_from_the_entry(engine: str) -> None:
    """Two requests hold the two workers and wait for a third: at the first deadline the first in the queue has it."""
    front = pool(ENTRY_MS, workers=2, serves_abandoned=False)
    system = tiny_system({"front": front}, [{"call": "front"}], users={"deadline_s": 0.15})
    episode, (a, b) = schedule(system, {100: 1, 101: 1})

    result = run(engine, system, episode)

    again = [row for row in result.visits if row[2] == 1]
    assert again == [
        (0, 0, 1, 0, "front", a + 15 * MS, a + 150 * MS, a + 160 * MS, "ok"),
        (1, 0, 1, 0, "front", b + 15 * MS, b + 150 * MS, b + 160 * MS, "ok"),
    ]
