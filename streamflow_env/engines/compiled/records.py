"""The types of the compiled engine's records: codes, units and fields.

The records of services, calls and classes begin with the fields of their telemetry. All fields are 8 bytes wide. Times
are in ns on the engine's clock.
"""

from __future__ import annotations

from typing import Any, Final, get_args

import numpy as np

from streamflow_env.engines.telemetry import CALL_FIELDS, CLASS_FIELDS, SERVICE_FIELDS
from streamflow_env.episode import ChangeKind
from streamflow_env.system.system import MAX_HELD

POOL: Final = 0
DATABASE: Final = 1
VECTOR: Final = 2
LLM: Final = 3
CACHE: Final = 4
CONSUMER: Final = 5
DEFERRED_QUEUE: Final = 6

ENTER: Final = 0
LEAVE: Final = 1
QUERY: Final = 2
COMPUTE: Final = 3
LOOKUP: Final = 4
FILL: Final = 5
INVALIDATE: Final = 6
EMIT: Final = 7
END: Final = 8

# Phases: how far a request has come in a step of its plan. A negative phase is the outcome of a step that has failed.
NEXT_STEP: Final = 0
WORKER_HAD: Final = 1
WORK_DONE: Final = 2
CORE_HAD: Final = 3
CPU_DONE: Final = 4
NEXT_ROUND: Final = 5
SEND: Final = 6
REJECTED: Final = 7
TIMED_OUT: Final = 8
CONNECTION_HAD: Final = 9
ANSWERED: Final = 10
LOOKED_UP: Final = 11
FILLED: Final = 12
STEP_FAILED: Final = 13
REFUSED: Final = 14
REPEATED: Final = 15

CHANGES: Final = get_args(ChangeKind)
SLOWDOWN: Final = CHANGES.index("slowdown_factor")
QUOTA: Final = CHANGES.index("quota_factor")
RETRY_AFTER: Final = CHANGES.index("retry_after_s")
INVALIDATE_KEYS: Final = CHANGES.index("invalidate_fraction")

TOKEN: Final = 60_000_000_000
"""Units of one LLM token: a quota of q per minute refills q units a nanosecond."""
KEY: Final = 1_000_000_000
"""Units of one key in a sweep: a rate of r keys/s reaches r units a nanosecond."""
ADMISSION: Final = 1_000_000_000
"""Units of one admission: a limit of r a second refills r units a nanosecond."""
RETRY: Final = 1000
"""Units of one retry in a retry budget."""
FULL_BUDGET: Final = 100 * RETRY
NEVER: Final = 2**62
JOB: Final = 4
"""Columns of a deferred ask in the queue: cache, key, written, potential."""
CELL: Final = 6
"""Columns of a deferred ask under way: busy, cache, key, written, potential, asked at."""


def _fields(names: str, kind: str = "i8") -> list[tuple[str, str]]:
    return [(name, kind) for name in names.split()]


def _record(telemetry: dict[str, str], integers: str, floats: str) -> np.dtype[Any]:
    """The type of a record that begins with the fields of a telemetry record."""
    return np.dtype(_fields(" ".join(telemetry)) + _fields(integers) + _fields(floats, "f8"))


SERVICE_STATE: Final = _record(
    SERVICE_FIELDS,
    "kind touched_ns primary servers head tail premium_first last_premium waiting_limit_ns rate_limit"
    " admission_units admitted_at workers cores_each queue_limit serves_abandoned startup_ns cores cpu_busy cpu_head"
    " cpu_tail cpu_pressure_queue"
    " cohorts_at num_cohorts desired_at num_desired family"
    " quota quota_now burst_units token_units kept_burst kept_units tokens_at rejection_ns latencies_at num_latencies"
    " queries_at query_entries query_ttl_ns to ring_at ring_head cells_at is_polling poll_ns job_number"
    " entries_at memory_entries samples eviction_number index_at index_bits multiplier keys_per_item fresh_ns"
    " sweep_start sweep_limit sweep_units sweep_at sweep_rate sweep_counted"
    " batch_size batch_length batch_number",
    "mean a b fault_fraction cpu_pressure slowdown base_s span_s knee per_query_s floor_s retry_after_s"
    " retry_after_now_s interactive_reserve_fraction premium_reserve_fraction background_share"
    " admission_reserve_fraction ttl_s ttl_jitter"
    " cached_s lag_s write_gap_s",
)
CALL_STATE: Final = _record(
    CALL_FIELDS,
    "to max_attempts timeout_ns fallback_milli exhausted_milli has_cpu cpu_family"
    " breaker_on window_at window_size minimum_calls slow_ns open_ns half_open_calls"
    " window_count window_next failures slow permits opened_at_ns budget_on budget_units deferred_to cacheable",
    "backoff_base_s jitter_low jitter_high ask_fraction fallback_fraction cpu_a cpu_b threshold budget defer_fraction"
    " fallback_spread",
)
CLASS_STATE: Final = _record(CLASS_FIELDS, "interactive first_step", "")
STEP: Final = _record({}, "op number service call pool top jump is_item family", "a b")
"""One instruction of a plan. `pool` is the pool whose worker is held, `top` the service of the outermost step."""
REQUEST: Final = np.dtype(
    _fields("key", "u8")
    + _fields(
        "request attempt class_ premium user sent_ns row pc phase round quality_milli held entry_held abandoned"
        " ended source personalised next previous queue arrived_ns started_ns call_sent_ns"
        " item potential_milli deferred missed_ns item_missed_ns"
    )
)
HOLD: Final = 4
"""Columns of one held worker: arrived, started, service, step."""
HOLD_COLUMNS: Final = HOLD * (MAX_HELD + 1)
CHANGE: Final = np.dtype([("at_ns", "i8"), ("service", "i8"), ("kind", "i8"), ("value", "f8")])
WORLD: Final = _record(
    {},
    "seed now network_ns deadline_ns sla_ns worst_ns max_retries num_users num_items first_cache spare_events"
    " control_step"
    " heap_size deadline_head num_deadlines free_head num_free"
    " wake_head wake_tail next_arrival next_change logging num_visits num_answers events"
    " full_jitter budget_on budget_units budget_cap"
    " breaker_on breaker_state opened window_at window_size minimum_calls slow_ns open_ns half_open_calls"
    " window_count window_next failures slow permits opened_at_ns",
    "retry_fraction think_time_s item_exponent think_cap_s budget threshold",
)
"""What there is once. The last two lines of integers and `threshold` are the breaker of the users' clients."""
