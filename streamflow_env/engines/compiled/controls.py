"""How controls are put in force: a number is written to a field of a record, or a setter does what else is needed."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streamflow_env.engines.compiled.admission import set_rate_limit
from streamflow_env.engines.compiled.breaker import set_threshold
from streamflow_env.engines.compiled.calls import set_budget
from streamflow_env.engines.compiled.eviction import set_memory
from streamflow_env.engines.compiled.invalidation import settle_sweep
from streamflow_env.engines.compiled.records import CALL_STATE, NEVER, SERVICE_STATE
from streamflow_env.engines.compiled.servers import set_replicas
from streamflow_env.engines.compiled.state import State
from streamflow_env.engines.compiled.tokens import set_background_share
from streamflow_env.engines.compiling import kernel
from streamflow_env.engines.draws.distributions import to_ns
from streamflow_env.system import System
from streamflow_env.system.parameters import Parameter

SPECIAL: Final = (
    "replicas",
    "read_replicas",
    "invalidation_rate_keys_per_s",
    "breaker_threshold_fraction",
    "rate_limit_rps",
    "background_share_fraction",
    "memory_entries",
    "retry_budget_fraction",
)
"""The parameters of which `_set` does more than write a field."""
REPLICAS: Final = SPECIAL.index("replicas")
READ_REPLICAS: Final = SPECIAL.index("read_replicas")
INVALIDATION_RATE: Final = SPECIAL.index("invalidation_rate_keys_per_s")
BREAKER_THRESHOLD: Final = SPECIAL.index("breaker_threshold_fraction")
RATE_LIMIT: Final = SPECIAL.index("rate_limit_rps")
BACKGROUND_SHARE: Final = SPECIAL.index("background_share_fraction")
MEMORY: Final = SPECIAL.index("memory_entries")
RETRY_BUDGET: Final = SPECIAL.index("retry_budget_fraction")
FLOAT_FIELD: Final = -1
WHOLE_FIELD: Final = -2
TIME_FIELD: Final = -3

CONTROL: Final = np.dtype(
    [("setter", "i8"), ("of", "i8"), ("of_call", "i8"), ("field", "i8"), ("off_at_high", "i8"), ("high", "f8")]
)
"""One control. `setter`: a place in SPECIAL, or what kind of number is written to the field.

`of` is the row of the owner among the services, or among the calls where `of_call` is 1. `field` is the place of the
field in those records, counted in numbers of 8 bytes.
"""


def lay_out_controls(system: System) -> NDArray[Any]:
    """The controls of `system`, dtype CONTROL, shape (num_controls,)."""
    controls = np.zeros(len(system.controls), CONTROL)
    for record, control in zip(controls, system.controls, strict=True):
        is_of_call = control.sets.is_of_call
        owner = (system.call_names if is_of_call else system.service_names).index(control.of)
        setter, column = setter_of(control.sets)
        width = len((CALL_STATE if is_of_call else SERVICE_STATE).names or ())
        record["setter"], record["field"] = setter, owner * width + column
        record["of"], record["of_call"] = owner, is_of_call
        record["off_at_high"], record["high"] = control.off_at_high, control.high
    return controls


def setter_of(parameter: Parameter) -> tuple[int, int]:
    """How `parameter` is set, and the field of its owner's record that is written, if any.

    Raises:
        NotImplementedError: the parameter has no field and no setter, or a field that cannot be off as it can.
    """
    if parameter.name in SPECIAL:
        return SPECIAL.index(parameter.name), 0
    record = CALL_STATE if parameter.is_of_call else SERVICE_STATE
    fields: tuple[str, ...] = record.names or ()
    in_ns = f"{parameter.name.removesuffix('_s')}_ns"
    if parameter.name.endswith("_s") and in_ns in fields:
        return TIME_FIELD, fields.index(in_ns)
    if parameter.name not in fields or parameter.can_be_off:
        raise NotImplementedError(f"{parameter.name}: the compiled engine needs a setter for it, see SPECIAL")
    is_float = record[parameter.name] == np.float64
    return FLOAT_FIELD if is_float else WHOLE_FIELD, fields.index(parameter.name)


@kernel
def put_in_force(state: State, controls: Any, values: Any) -> None:
    """Put `values` (natural units, shape (num_controls,)) in force, at the start of a control interval."""
    service_fields, call_fields = state.services.view(np.int64), state.calls.view(np.int64)
    bits = values.view(np.int64)
    for i in range(controls.size):
        control, value = controls[i], values[i]
        off = control.off_at_high == 1 and value >= control.high
        if control.setter >= 0:
            _set(state, control, off, value)
            continue
        number = bits[i]  # the float's 8 bytes
        if control.setter == WHOLE_FIELD:
            number = int(value)
        elif control.setter == TIME_FIELD:
            number = NEVER if off else to_ns(value)
        if control.of_call == 1:
            call_fields[control.field] = number
        else:
            service_fields[control.field] = number
    state.world[0].control_step += 1


@kernel
def _set(state: State, control: Any, off: bool, value: float) -> None:
    """Set a parameter of SPECIAL."""
    w, services, calls = state.world[0], state.services, state.calls
    setter, of = control.setter, control.of
    if setter in (REPLICAS, READ_REPLICAS):
        set_replicas(state, services[of], of, int(value))
    elif setter == INVALIDATION_RATE:
        settle_sweep(services[of], w.now)
        services[of].sweep_rate = 0 if off else int(value)
        settle_sweep(services[of], w.now)
    elif setter == BREAKER_THRESHOLD:
        set_threshold(calls[of], 1.0 if off else value)
    elif setter == RATE_LIMIT:
        set_rate_limit(w.now, services[of], 0 if off else int(value))
    elif setter == BACKGROUND_SHARE:
        set_background_share(w.now, services[of], value)
    elif setter == MEMORY:
        set_memory(state, services[of], of, int(value))
    elif setter == RETRY_BUDGET:
        set_budget(calls[of], off, value)
