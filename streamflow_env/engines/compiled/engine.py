"""The compiled engine: the model as an event loop over arrays, run by Numba one control interval at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamflow_env.engines.cache_entries import ENTRY, FREE, fill_index, index_bits
from streamflow_env.engines.compiled.controls import put_in_force
from streamflow_env.engines.compiled.layout import Layout, lay_out
from streamflow_env.engines.compiled.loop import EVENTS_PER_SLOT, MORE_ROOM, VISITS_PER_SLOT, run_interval
from streamflow_env.engines.compiled.records import CHANGE, CHANGES, HOLD_COLUMNS, REQUEST
from streamflow_env.engines.compiled.requests import empty_slots
from streamflow_env.engines.compiled.state import State
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
"""How many fields of each record are counts of one interval. The gauges after them keep their values."""
_FIRST_SLOTS = 128
_FIRST_EVENTS = 512
_FIRST_DEADLINES = 256  # a power of two; doubling keeps it one


class CompiledEngine:
    """Simulates one system; see `streamflow_env.engines.Engine`. Its whole state is in arrays, and pickles as such.

    Args:
        system: what is simulated, unless an episode has a system of its own.
        log: whether the telemetry carries every visit and answer.
        layout: `lay_out(system)`, where the caller has it already. The engine copies it and does not change it.
    """

    def __init__(self, system: System, *, log: bool = False, layout: Layout | None = None) -> None:
        self._log = log
        self._usual = (system, layout or lay_out(system))
        self._system, self._layout = self._usual
        self._is_started = False
        self._state: State
        self._cache_room: NDArray[np.int64]

    @property
    def num_events(self) -> int:
        """Events handled since the episode's reset, including its warm-up; 0 before the first reset."""
        return int(self._state.world[0]["events"]) if self._is_started else 0

    def reset(self, episode: Episode) -> Telemetry:
        """Start `episode` warm, simulate the warm-up by default, and return the telemetry of its last interval."""
        own = episode.system
        self._system, self._layout = self._usual if own is None else (own, lay_out(own))
        self._state = self._first_state(episode)
        self._is_started = True
        warm = warm_state(self._system, episode.rates_rps[:, 0])
        caches = self._layout.caches
        room = self._layout.services["memory_entries"][[cache.row for cache in caches]]
        self._lay_out_caches(room, [warm.entries[cache.name] for cache in caches])
        users = self._system.users
        self._arrivals = Arrivals(
            episode.seed, episode.rates_rps, episode.bin_ns, self._system.interactive, users, (warm.users, warm.seconds)
        )
        default = self._system.control_table.default
        telemetry = self._measure(0, 0, default)
        for _ in range(self._layout.num_warmup_intervals):
            telemetry = self.step(default)
        return telemetry

    def step(self, controls: NDArray[np.float64]) -> Telemetry:
        """Put `controls` in force (natural units, shape (num_controls,)) and simulate one control interval.

        Raises:
            RuntimeError: there was no reset before.
        """
        if not self._is_started:
            raise RuntimeError("step before reset")
        world = self._state.world[0]
        start_ns = int(world["now"])
        end_ns = start_ns + self._layout.interval_ns
        self._forget_counts()
        self.make_caches_fit(controls)
        put_in_force(self._state, self._layout.controls, controls)
        arrivals = self._arrivals.until(end_ns - int(world["network_ns"]))
        world["next_arrival"] = 0
        while run_interval(self._state, arrivals, end_ns) == MORE_ROOM:
            self.make_room()
        return self._measure(start_ns, end_ns, controls)

    # For a fleet, which runs the kernels itself

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The whole state by name. The methods that make room replace some of the arrays."""
        return {**self._state._asdict(), **self._arrivals.stream._asdict()}

    def count_in(self, hists: NDArray[np.int32]) -> None:
        """From now on keep the histograms in `hists`, shape (num_services + 2 · num_classes, NUM_BUCKETS)."""
        hists[:] = self._state.hists
        self._state = self._state._replace(hists=hists)

    @property
    def bin_ns(self) -> int:
        """Length of a bin of the episode's traffic."""
        return self._arrivals.bin_ns

    @property
    def cache_room(self) -> NDArray[np.int64]:
        """For how many entries each cache has room, shape (num_caches,)."""
        return self._cache_room

    def make_more_arrivals_fit(self) -> None:
        """Double the room for the first attempts of an interval."""
        self._arrivals.make_room()

    def make_caches_fit(self, controls: NDArray[np.float64]) -> None:
        """Where `controls` allow more entries than fit, make room for one and a half times as many as they allow."""
        room = self._cache_room.copy()
        for number, cache in enumerate(self._layout.caches):
            if cache.control is not None and controls[cache.control] > room[number]:
                room[number] = min(cache.most, int(1.5 * controls[cache.control]))
        if (room > self._cache_room).any():
            services = [self._state.services[cache.row] for cache in self._layout.caches]
            held = [self._state.entries[s["entries_at"] : s["entries_at"] + s["entries"]] for s in services]
            self._lay_out_caches(room, held)

    def make_room(self) -> None:
        """Double every array that may be too short. The kernel is between two events, so nothing is lost."""
        state = self._state
        world = state.world[0]
        size = state.requests.size
        busy = size - int(world["num_free"]) + 1
        grown: dict[str, NDArray[Any]] = {}
        if int(world["num_free"]) <= busy:
            grown["requests"], grown["holds"] = _doubled(state.requests), _doubled(state.holds)
            empty_slots(grown["requests"], size)
            grown["requests"][-1]["next"] = world["free_head"]
            world["free_head"] = size
            world["num_free"] += size
        if len(state.heap) - int(world["heap_size"]) <= EVENTS_PER_SLOT * busy + int(world["spare_events"]):
            grown["heap"] = _doubled(state.heap)
        if len(state.deadlines) == int(world["num_deadlines"]):
            first = int(world["deadline_head"]) % len(state.deadlines)
            grown["deadlines"] = _doubled(np.roll(state.deadlines, -first, axis=0))
            world["deadline_head"] = 0
        if self._log and state.visits.size - int(world["num_visits"]) <= VISITS_PER_SLOT * busy:
            grown["visits"] = _doubled(state.visits)
        if self._log and state.answers.size - int(world["num_answers"]) <= busy:
            grown["answers"] = _doubled(state.answers)
        self._state = state._replace(**grown)

    def _first_state(self, episode: Episode) -> State:
        """The state at the start of `episode`, without its caches' entries."""
        layout = self._layout
        requests = np.zeros(_FIRST_SLOTS, REQUEST)
        empty_slots(requests, 0)
        world = layout.world.copy()
        world["seed"] = episode.seed
        world["free_head"] = 0
        world["num_free"] = _FIRST_SLOTS
        world["logging"] = self._log
        return State(
            world=world,
            services=layout.services.copy(),
            calls=layout.calls.copy(),
            classes=layout.classes.copy(),
            steps=layout.steps,
            requests=requests,
            holds=np.zeros((_FIRST_SLOTS, HOLD_COLUMNS), dtype=np.int64),
            heap=np.zeros((_FIRST_EVENTS, 3), dtype=np.int64),
            deadlines=np.zeros((_FIRST_DEADLINES, 3), dtype=np.int64),
            entries=np.zeros(0, ENTRY),
            key_index=np.zeros(0, np.int32),
            memory=layout.memory.copy(),
            hists=np.zeros((len(layout.services) + len(layout.classes), NUM_BUCKETS), dtype=np.int32),
            visits=np.zeros(1 << 16 if self._log else 1, VISIT),
            answers=np.zeros(1 << 14 if self._log else 1, ANSWER),
            changes=self._changes_of(episode),
        )

    def _changes_of(self, episode: Episode) -> NDArray[Any]:
        changes = np.zeros(len(episode.changes), CHANGE)
        for record, change in zip(changes, episode.changes, strict=True):
            record["at_ns"], record["service"] = change.at_ns, self._system.service_names.index(change.service)
            record["kind"], record["value"] = CHANGES.index(change.kind), change.value
        return changes

    def _lay_out_caches(self, room: NDArray[np.int64], held: list[NDArray[Any]]) -> None:
        """Lay out every cache's entries, and their index, with `room` for so many in each; `held` are there already."""
        state = self._state
        self._cache_room = room
        entries = np.empty(max(1, int(room.sum())), ENTRY)
        index = np.full(max(1, sum(1 << index_bits(size) for size in room.tolist())), FREE, dtype=np.int32)
        entries_at = index_at = 0
        for cache, size, kept in zip(self._layout.caches, room.tolist(), held, strict=True):
            bits = index_bits(size)
            service = state.services[cache.row]
            service["entries"], service["entries_at"] = len(kept), entries_at
            service["index_at"], service["index_bits"] = index_at, bits
            entries[entries_at : entries_at + len(kept)] = kept
            fill_index(entries, entries_at, index, index_at, bits, len(kept))
            entries_at += size
            index_at += 1 << bits
        self._state = state._replace(entries=entries, key_index=index)

    def _forget_counts(self) -> None:
        state = self._state
        for array, dtype in ((state.services, SERVICE), (state.classes, CLASS), (state.calls, CALL)):
            _columns(array)[:, : _NUM_COUNTS[dtype]] = 0
        state.hists[:] = 0
        state.world["num_visits"] = 0
        state.world["num_answers"] = 0

    def _measure(self, start_ns: int, end_ns: int, controls: NDArray[np.float64]) -> Telemetry:
        state = self._state
        world = state.world[0]
        num_services = len(state.services)
        return Telemetry(
            start_ns,
            end_ns,
            _measured(state.services, SERVICE),
            _measured(state.classes, CLASS).reshape(-1, 2),
            _measured(state.calls, CALL),
            state.hists[:num_services].copy(),
            state.hists[num_services:].reshape(-1, 2, NUM_BUCKETS).copy(),
            np.array(controls, dtype=np.float64),
            state.visits[: int(world["num_visits"])].copy(),
            state.answers[: int(world["num_answers"])].copy(),
        )


def _doubled(array: NDArray[Any]) -> NDArray[Any]:
    """`array`, and as many zeros behind it."""
    return np.concatenate([array, np.zeros_like(array)])


def _columns(records: NDArray[Any]) -> NDArray[np.int64]:
    """Records of 8-byte fields as a table, shape (num_records, num_fields)."""
    return records.view(np.int64).reshape(len(records), records.dtype.itemsize // 8)


def _measured(records: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """The telemetry record with which each record of the state begins, copied."""
    names = dtype.names
    assert names is not None
    return _columns(records)[:, : len(names)].copy().view(dtype)[:, 0]
