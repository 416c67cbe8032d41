"""The compiled engine: the model as an event loop over arrays, run by Numba one control interval at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamflow_env.engines.cache_entries import ENTRY, FREE, fill_index, index_bits
from streamflow_env.engines.compiled.controls import put_in_force
from streamflow_env.engines.compiled.event_queue import empty_slots
from streamflow_env.engines.compiled.layout import Layout, lay_out
from streamflow_env.engines.compiled.loop import EVENTS_PER_SLOT, MORE_ROOM, VISITS_PER_SLOT, run_interval
from streamflow_env.engines.compiled.records import CHANGE, CHANGES, HOLD_COLUMNS, REQUEST
from streamflow_env.engines.draws.arrivals import Arrivals
from streamflow_env.engines.telemetry import (
    ANSWER,
    CALL,
    CALL_FIELDS,
    CLASS,
    CLASS_FIELDS,
    NUM_BUCKETS,
    SERVICE,
    SERVICE_FIELDS,
    VISIT,
    Telemetry,
)
from streamflow_env.engines.warm_start import warm_state
from streamflow_env.episode import Episode
from streamflow_env.system import System

_NUM_COUNTS = {
    SERVICE: tuple(SERVICE_FIELDS).index("queue_length"),
    CLASS: tuple(CLASS_FIELDS).index("in_flight"),
    CALL: tuple(CALL_FIELDS).index("breaker_state"),
}
"""How many fields of each record are counts of an interval; the gauges after them live on."""
_FIRST_SLOTS = 128
_FIRST_EVENTS = 512
_FIRST_DEADLINES = 256  # a power of two, and so it stays


class CompiledEngine:
    """Simulates one system; see `streamflow_env.engines.Engine`. Its whole state is in arrays, and pickles as such."""

    def __init__(self, system: System, *, log: bool = False, layout: Layout | None = None) -> None:
        self._system = system
        self._log = log
        self._found = layout or lay_out(system)
        self._state: Layout | None = None
        self._hists: NDArray[np.int32]

    @property
    def num_events(self) -> int:
        """Events handled since the episode's reset, those of its warm-up among them; 0 before the first."""
        return 0 if self._state is None else int(self._state.world[0]["events"])

    def reset(self, episode: Episode) -> Telemetry:
        """Start `episode` warm and simulate the warm-up as found; the telemetry of its last control interval."""
        self._lay_out_state(episode)
        warm = warm_state(self._system, episode.rates_rps[:, 0])
        caches = self._found.caches
        room = self._found.services["memory_entries"][[cache.row for cache in caches]]
        self._lay_out_caches(room, [warm.entries[cache.name] for cache in caches])
        users = self._system.users
        self._arrivals = Arrivals(
            episode.seed, episode.rates_rps, episode.bin_ns, self._system.interactive, users, (warm.users, warm.seconds)
        )
        default = self._system.control_table.default
        telemetry = self._measure(0, 0, default)
        for _ in range(self._found.num_warmup_intervals):
            telemetry = self.step(default)
        return telemetry

    def step(self, controls: NDArray[np.float64]) -> Telemetry:
        """Put `controls` in force (natural units, shape (num_controls,)) and simulate one control interval."""
        state = self._state
        if state is None:
            raise RuntimeError("step before reset")
        world = state.world[0]
        start_ns = int(world["now"])
        end_ns = start_ns + state.interval_ns
        self._forget_counts()
        self.make_caches_fit(controls)
        put_in_force(
            world,
            state.services,
            state.calls,
            self._heap,
            self._entries,
            self._index,
            state.memory,
            state.controls,
            controls,
        )
        arrivals = self._arrivals.until(end_ns - int(world["network_ns"]))
        world["next_arrival"] = 0
        while self._run(arrivals, end_ns) == MORE_ROOM:
            self.make_room()
        return self._measure(start_ns, end_ns, controls)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The whole state by name, for a fleet that runs the kernels itself. `make_room` puts others in their place."""
        state = self._state
        assert state is not None
        return {
            "world": state.world, "services": state.services, "calls": state.calls, "classes": state.classes,
            "steps": state.steps, "requests": self._requests, "holds": self._holds, "heap": self._heap,
            "deadlines": self._deadlines, "entries": self._entries, "index": self._index, "memory": state.memory,
            "hists": self._hists, "visits": self._visits, "answers": self._answers, "changes": self._changes,
            **self._arrivals.arrays(),
        }  # fmt: skip

    def count_in(self, hists: NDArray[np.int32]) -> None:
        """From now on hold the histograms in `hists`, shape (num_services + 2 · num_classes, NUM_BUCKETS)."""
        hists[:] = self._hists
        self._hists = hists

    @property
    def bin_ns(self) -> int:
        """Length of a bin of the episode's traffic."""
        return self._arrivals.bin_ns

    def make_more_arrivals_fit(self) -> None:
        """Double the room for the first attempts of an interval."""
        self._arrivals.make_room()

    def _lay_out_state(self, episode: Episode) -> None:
        found = self._found
        self._state = Layout(
            found.world.copy(), found.services.copy(), found.calls.copy(), found.classes.copy(), found.steps,
            found.controls, found.memory.copy(), found.caches, found.interval_ns, found.num_warmup_intervals,
        )  # fmt: skip
        self._requests = np.zeros(_FIRST_SLOTS, REQUEST)
        self._holds = np.zeros((_FIRST_SLOTS, HOLD_COLUMNS), dtype=np.int64)
        self._heap = np.zeros((_FIRST_EVENTS, 3), dtype=np.int64)
        self._deadlines = np.zeros((_FIRST_DEADLINES, 3), dtype=np.int64)
        empty_slots(self._requests, 0)
        self._hists = np.zeros((len(found.services) + len(found.classes), NUM_BUCKETS), dtype=np.int32)
        self._visits = np.zeros(1 << 16 if self._log else 1, VISIT)
        self._answers = np.zeros(1 << 14 if self._log else 1, ANSWER)
        world = self._state.world
        world["seed"] = episode.seed
        world["free_head"] = 0
        world["num_free"] = _FIRST_SLOTS
        world["logging"] = self._log
        self._changes = np.zeros(len(episode.changes), CHANGE)
        for record, change in zip(self._changes, episode.changes, strict=True):
            service = self._system.service_names.index(change.service)
            record["at_ns"], record["service"] = change.at_ns, service
            record["kind"], record["value"] = CHANGES.index(change.kind), change.value

    def _lay_out_caches(self, room: NDArray[np.int64], entries: list[NDArray[Any]]) -> None:
        """Every cache's entries and their index, with `room` for so many in each."""
        state = self._state
        assert state is not None
        self._room = room
        self._entries = np.empty(max(1, int(room.sum())), ENTRY)
        self._index = np.full(max(1, sum(1 << index_bits(slots) for slots in room.tolist())), FREE, dtype=np.int32)
        entries_at = index_at = 0
        for cache, slots, held in zip(state.caches, room.tolist(), entries, strict=True):
            bits = index_bits(slots)
            service = state.services[cache.row]
            service["entries"], service["entries_at"] = len(held), entries_at
            service["index_at"], service["index_bits"] = index_at, bits
            self._entries[entries_at : entries_at + len(held)] = held
            fill_index(self._entries, entries_at, self._index, index_at, bits, len(held))
            entries_at += slots
            index_at += 1 << bits

    @property
    def cache_room(self) -> NDArray[np.int64]:
        """For how many entries each cache has room, shape (num_caches,)."""
        return self._room

    def make_caches_fit(self, controls: NDArray[np.float64]) -> None:
        """Make room where `controls` allow more entries than fit, and for half as many again."""
        state = self._state
        assert state is not None
        room = self._room.copy()
        for number, cache in enumerate(state.caches):
            if cache.control is not None and controls[cache.control] > room[number]:
                room[number] = min(cache.most, int(1.5 * controls[cache.control]))
        if (room > self._room).any():
            services = [state.services[cache.row] for cache in state.caches]
            held = [self._entries[s["entries_at"] : s["entries_at"] + s["entries"]] for s in services]
            self._lay_out_caches(room, held)

    def _run(self, arrivals: NDArray[Any], end_ns: int) -> int:
        state = self._state
        assert state is not None
        return int(
            run_interval(
                state.world[0], state.services, state.calls, state.classes, state.steps, self._requests, self._holds,
                self._heap, self._deadlines, self._entries, self._index, state.memory, self._hists, self._visits,
                self._answers, self._changes, arrivals, end_ns,
            )
        )  # fmt: skip

    def make_room(self) -> None:
        """Double what may be short. The kernel is between two events, so nothing is lost."""
        assert self._state is not None
        world = self._state.world[0]
        size = self._requests.size
        busy = size - int(world["num_free"]) + 1
        if int(world["num_free"]) <= busy:
            self._requests = np.concatenate([self._requests, np.zeros(size, REQUEST)])
            self._holds = np.concatenate([self._holds, np.zeros_like(self._holds)])
            empty_slots(self._requests, size)
            self._requests[-1]["next"] = world["free_head"]
            world["free_head"] = size
            world["num_free"] += size
        if len(self._heap) - int(world["heap_size"]) <= EVENTS_PER_SLOT * busy + int(world["spare_events"]):
            self._heap = np.concatenate([self._heap, np.zeros_like(self._heap)])
        if len(self._deadlines) == int(world["num_deadlines"]):
            first = int(world["deadline_head"]) % len(self._deadlines)
            self._deadlines = np.concatenate([np.roll(self._deadlines, -first, axis=0), np.zeros_like(self._deadlines)])
            world["deadline_head"] = 0
        if self._log and self._visits.size - int(world["num_visits"]) <= VISITS_PER_SLOT * busy:
            self._visits = np.concatenate([self._visits, np.zeros_like(self._visits)])
        if self._log and self._answers.size - int(world["num_answers"]) <= busy:
            self._answers = np.concatenate([self._answers, np.zeros_like(self._answers)])

    def _forget_counts(self) -> None:
        state = self._state
        assert state is not None
        for array, dtype in ((state.services, SERVICE), (state.classes, CLASS), (state.calls, CALL)):
            _columns(array)[:, : _NUM_COUNTS[dtype]] = 0
        self._hists[:] = 0
        state.world["num_visits"] = 0
        state.world["num_answers"] = 0

    def _measure(self, start_ns: int, end_ns: int, controls: NDArray[np.float64]) -> Telemetry:
        state = self._state
        assert state is not None
        world = state.world[0]
        num_services = len(state.services)
        return Telemetry(
            start_ns,
            end_ns,
            _measured(state.services, SERVICE),
            _measured(state.classes, CLASS).reshape(-1, 2),
            _measured(state.calls, CALL),
            self._hists[:num_services].copy(),
            self._hists[num_services:].reshape(-1, 2, NUM_BUCKETS).copy(),
            np.array(controls, dtype=np.float64),
            self._visits[: int(world["num_visits"])].copy(),
            self._answers[: int(world["num_answers"])].copy(),
        )


def _columns(records: NDArray[Any]) -> NDArray[np.int64]:
    """Records of 8-byte fields as a table, shape (num_records, num_fields)."""
    return records.view(np.int64).reshape(len(records), records.dtype.itemsize // 8)


def _measured(records: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """The telemetry record with which each record of the state begins, copied."""
    names = dtype.names
    assert names is not None
    return _columns(records)[:, : len(names)].copy().view(dtype)[:, 0]
