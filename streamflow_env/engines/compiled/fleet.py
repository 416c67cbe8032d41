"""Many compiled engines stepped by one kernel, so that Python's share of the time does not grow with their number.

The cells' arrays differ in size and are replaced when they grow. Therefore this kernel, and no other, takes the
addresses of arrays.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import config, types
from numba.core import cgutils as untyped_cgutils
from numba.extending import intrinsic
from numba.np import arrayobj as untyped_arrayobj
from numpy.typing import NDArray

from streamflow_env.engines.cache_entries import ENTRY
from streamflow_env.engines.compiled.controls import put_in_force
from streamflow_env.engines.compiled.engine import CompiledEngine
from streamflow_env.engines.compiled.layout import lay_out
from streamflow_env.engines.compiled.loop import MORE_ROOM, run_interval
from streamflow_env.engines.compiled.records import (
    CALL_STATE,
    CHANGE,
    CLASS_STATE,
    HOLD_COLUMNS,
    REQUEST,
    SERVICE_STATE,
    STEP,
    WORLD,
)
from streamflow_env.engines.compiled.state import State
from streamflow_env.engines.compiling import inlined, kernel, long_kernel
from streamflow_env.engines.draws.arrivals import ARRIVAL, POPULATION, PROGRESS, Stream, fill_arrivals
from streamflow_env.engines.fleet import Fleet
from streamflow_env.engines.telemetry import (
    ANSWER,
    CALL_FIELDS,
    CLASS_FIELDS,
    HEADER,
    NUM_BUCKETS,
    SERVICE_FIELDS,
    VISIT,
)
from streamflow_env.episode import Episode
from streamflow_env.system import System

cgutils: Any = untyped_cgutils
arrayobj: Any = untyped_arrayobj

PLACE: Final = np.dtype(
    [(name, "i8") for array in (*State._fields, *Stream._fields) for name in (array, f"num_{array}")]
    + [(name, "i8") for name in ("bin_ns", "interval_ns", "stage", "filled")]
)
"""The addresses and lengths of a cell's arrays, and the stage of its interval (see `run_cells`)."""

AT_REST: Final = 0
DRAWING: Final = 1
RUNNING: Final = 2

NUM_SERVICE: Final = len(SERVICE_FIELDS)
NUM_CLASS: Final = len(CLASS_FIELDS)
NUM_CALL: Final = len(CALL_FIELDS)
SERVICE_COUNTS: Final = tuple(SERVICE_FIELDS).index("queue_length")
CLASS_COUNTS: Final = tuple(CLASS_FIELDS).index("in_flight")
CALL_COUNTS: Final = tuple(CALL_FIELDS).index("breaker_state")
SERVICE_WIDTH: Final = SERVICE_STATE.itemsize // 8
CLASS_WIDTH: Final = CLASS_STATE.itemsize // 8
CALL_WIDTH: Final = CALL_STATE.itemsize // 8


class CompiledFleet(Fleet):
    """Compiled engines whose kernels run one after another, without Python in between.

    Episodes may have systems of their own. These have the same services, calls, classes, controls and intervals.
    """

    def __init__(self, system: System, num_cells: int, num_threads: int = 1) -> None:
        layout = lay_out(system)
        engines = [CompiledEngine(system, layout=layout) for _ in range(num_cells)]
        super().__init__(system, engines, num_threads)
        self._compiled = engines
        self._controls = layout.controls
        self._places = np.zeros(num_cells, PLACE)
        self._places["interval_ns"] = layout.interval_ns
        resized = [(number, cache.control) for number, cache in enumerate(layout.caches) if cache.control is not None]
        self._resized, self._memory_controls = np.array(resized, dtype=np.intp).reshape(-1, 2).T
        self._cache_room = np.zeros((num_cells, len(layout.caches)), dtype=np.int64)

    def _reset_cell(self, cell: int, episode: Episode) -> None:
        super()._reset_cell(cell, episode)
        self._settle(cell)

    def _settle(self, cell: int) -> None:
        """Let the cell count in the fleet's histograms, and note where its arrays are."""
        self._compiled[cell].count_in(self.telemetry.histograms[cell])
        place = self._places[cell]
        place["bin_ns"] = self._compiled[cell].bin_ns
        place["stage"] = AT_REST
        self._find(cell)

    def _find(self, cell: int) -> None:
        place = self._places[cell]
        for name, array in self._compiled[cell].arrays().items():
            place[name], place[f"num_{name}"] = array.ctypes.data, len(array)
        self._cache_room[cell] = self._compiled[cell].cache_room

    def _step_cells(self, cells: NDArray[np.intp], controls: NDArray[np.float64]) -> None:
        if getattr(config, "DISABLE_JIT"):  # noqa: B009 - numba's stubs do not know it
            super()._step_cells(cells, controls)
            return
        outgrown = controls[np.ix_(cells, self._memory_controls)] > self._cache_room[np.ix_(cells, self._resized)]
        for cell in cells[outgrown.any(axis=1)].tolist():
            self._compiled[cell].make_caches_fit(controls[cell])
            self._find(cell)
        telemetry, first = self.telemetry, 0
        while first < len(cells):
            first = run_cells(
                self._places, cells, first, self._controls, controls, telemetry.counts, telemetry.start_ns,
                telemetry.end_ns,
            )  # fmt: skip
            if first < len(cells):
                self._make_room(int(cells[first]))
        telemetry.controls[cells] = controls[cells]

    def _make_room(self, cell: int) -> None:
        if self._places[cell]["stage"] == DRAWING:
            self._compiled[cell].make_more_arrivals_fit()
        else:
            self._compiled[cell].make_room()
        self._find(cell)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Find the arrays again: a copy has them at other addresses."""
        self.__dict__.update(state)
        for cell in np.flatnonzero(self._places["num_world"]).tolist():
            self._settle(cell)


def _array_at(typing_context: Any, address: Any, shape: Any, dtype: Any) -> Any:
    """The C-contiguous array at an address; `numba.carray` does not do without Numba's run-time (see compiling.py)."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = signature.return_type
        array = context.make_array(kind)(context, builder)
        itemsize = context.get_abi_sizeof(context.get_data_type(kind.dtype))
        lengths = cgutils.unpack_tuple(builder, arguments[1], kind.ndim)
        lengths = [context.cast(builder, n, t, types.intp) for n, t in zip(lengths, signature.args[1], strict=True)]
        strides = [context.get_constant(types.intp, itemsize)]
        for length in reversed(lengths[1:]):
            strides.insert(0, builder.mul(strides[0], length))
        data = builder.inttoptr(arguments[0], array.data.type)
        size = context.get_constant(types.intp, itemsize)
        arrayobj.populate_array(array, data=data, shape=lengths, strides=strides, itemsize=size, meminfo=None)
        return array._getvalue()

    return types.Array(dtype.dtype, len(shape), "C")(address, shape, dtype), build


_array: Any = intrinsic(_array_at)


@long_kernel
def run_cells(
    places: Any, cells: Any, first: int, controls: Any, values: Any, counts: Any, start_ns: Any, end_ns: Any
) -> int:
    """Simulate one control interval of `cells`, beginning with `cells[first]`.

    Returns how many cells there are when all are done. If an array of a cell may overflow, returns the cell's position
    in `cells`: make room there and call again from that position.
    """
    for i in range(first, cells.size):
        cell = cells[i]
        p = places[cell]
        if p.stage == AT_REST:
            w = _array(p.world, (p.num_world,), WORLD)[0]
            start_ns[cell] = w.now
            end_ns[cell] = w.now + p.interval_ns
            _begin(p, controls, values[cell])
            p.stage = DRAWING
        if p.stage == DRAWING:
            if not _draw(p, end_ns[cell]):
                return i
            p.stage = RUNNING
        if _run(p, end_ns[cell]) == MORE_ROOM:
            return i
        _measure(p, counts[cell])
        p.stage = AT_REST
    return int(cells.size)


@kernel
def _begin(p: Any, controls: Any, values: Any) -> None:
    """Forget the last interval's counts and put the controls in force."""
    state = _state_of(p)
    _forget(_array(p.services, (p.num_services, SERVICE_WIDTH), np.int64), SERVICE_COUNTS)
    _forget(_array(p.classes, (p.num_classes, CLASS_WIDTH), np.int64), CLASS_COUNTS)
    _forget(_array(p.calls, (p.num_calls, CALL_WIDTH), np.int64), CALL_COUNTS)
    state.hists[:] = 0
    w = state.world[0]
    w.num_visits = 0
    w.num_answers = 0
    w.next_arrival = 0
    p.filled = 0
    put_in_force(state, controls, values)


@kernel
def _forget(columns: Any, num_counts: int) -> None:
    for row in range(columns.shape[0]):
        for column in range(num_counts):
            columns[row, column] = 0


@kernel
def _draw(p: Any, end_ns: int) -> bool:
    """Draw the interval's first attempts; False if they need more room."""
    w = _array(p.world, (p.num_world,), WORLD)[0]
    count = fill_arrivals(w.seed, p.bin_ns, _stream_of(p), p.filled, end_ns - w.network_ns)
    p.filled = count if count >= 0 else p.num_buffer
    return bool(count >= 0)


@kernel
def _run(p: Any, end_ns: int) -> int:
    return int(run_interval(_state_of(p), _array(p.buffer, (p.filled,), ARRIVAL), end_ns))


@inlined
def _state_of(p: Any) -> State:
    return State(
        _array(p.world, (p.num_world,), WORLD),
        _array(p.services, (p.num_services,), SERVICE_STATE),
        _array(p.calls, (p.num_calls,), CALL_STATE),
        _array(p.classes, (p.num_classes,), CLASS_STATE),
        _array(p.steps, (p.num_steps,), STEP),
        _array(p.requests, (p.num_requests,), REQUEST),
        _array(p.holds, (p.num_holds, HOLD_COLUMNS), np.int64),
        _array(p.heap, (p.num_heap, 3), np.int64),
        _array(p.deadlines, (p.num_deadlines, 3), np.int64),
        _array(p.entries, (p.num_entries,), ENTRY),
        _array(p.key_index, (p.num_key_index,), np.int32),
        _array(p.memory, (p.num_memory,), np.int64),
        _array(p.hists, (p.num_hists, NUM_BUCKETS), np.int32),
        _array(p.visits, (p.num_visits,), VISIT),
        _array(p.answers, (p.num_answers,), ANSWER),
        _array(p.changes, (p.num_changes,), CHANGE),
    )


@inlined
def _stream_of(p: Any) -> Stream:
    return Stream(
        _array(p.rates, (p.num_rates, p.num_totals), np.float64),
        _array(p.totals, (p.num_totals,), np.float64),
        _array(p.interactive, (p.num_interactive,), np.bool_),
        _array(p.population, (p.num_population,), POPULATION),
        _array(p.progress, (p.num_progress,), PROGRESS),
        _array(p.ring, (p.num_ring,), np.int32),
        _array(p.seconds, (p.num_seconds,), np.int64),
        _array(p.buffer, (p.num_buffer,), ARRIVAL),
    )


@kernel
def _measure(p: Any, counts: Any) -> None:
    """Copy the telemetry of services, classes and calls, the first fields of their records, behind the header."""
    counts[0], counts[1] = 1, p.interval_ns
    at = _copy(_array(p.services, (p.num_services, SERVICE_WIDTH), np.int64), NUM_SERVICE, counts, HEADER)
    at = _copy(_array(p.classes, (p.num_classes, CLASS_WIDTH), np.int64), NUM_CLASS, counts, at)
    _copy(_array(p.calls, (p.num_calls, CALL_WIDTH), np.int64), NUM_CALL, counts, at)


@kernel
def _copy(columns: Any, num_fields: int, counts: Any, at: int) -> int:
    for row in range(columns.shape[0]):
        for column in range(num_fields):
            counts[at] = columns[row, column]
            at += 1
    return at
