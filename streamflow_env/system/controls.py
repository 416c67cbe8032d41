"""Controls: the one table of what an operator, a baseline or an agent can set.

Action space, baselines, documentation and reports are all read off this table. A control is set in natural units;
`natural` and `action` map between those and [-1, 1], each the inverse of the other on what the control can hold.
The map is linear or logarithmic from `low` at -1 to `high` at +1, so every part of the axis does something. A control
that can be off is off at the `high` end (a timeout, a threshold, a rate: the higher, the less it does).
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from streamflow_env.errors import ConfigError
from streamflow_env.system.schema import Flag, Frozen, Number, Text

Parameter = Literal[
    "replicas",
    "queue_limit",
    "interactive_reserve_fraction",
    "premium_reserve_fraction",
    "invalidation_rate_keys_per_s",
    "breaker_threshold_fraction",
    "timeout_s",
    "ask_fraction",
    "fallback_fraction",
    "read_replicas",
    "waiting_limit_s",
    "rate_limit_rps",
    "admission_reserve_fraction",
    "background_share_fraction",
    "query_ttl_s",
    "ttl_s",
    "memory_entries",
    "retry_budget_fraction",
    "defer_fraction",
]
"""What a control can set, of a service of one kind or of a call: see `PARAMETER_KINDS`."""

PARAMETER_KINDS: dict[str, str] = {
    "replicas": "worker_pool",
    "queue_limit": "worker_pool",
    "interactive_reserve_fraction": "llm_endpoint",
    "premium_reserve_fraction": "llm_endpoint",
    "invalidation_rate_keys_per_s": "cache",
    "breaker_threshold_fraction": "call",
    "timeout_s": "call",
    "ask_fraction": "call",
    "fallback_fraction": "call",
    "read_replicas": "database",
    "waiting_limit_s": "worker_pool",
    "rate_limit_rps": "worker_pool",
    "admission_reserve_fraction": "worker_pool",
    "background_share_fraction": "llm_endpoint",
    "query_ttl_s": "vector_index",
    "ttl_s": "cache",
    "memory_entries": "cache",
    "retry_budget_fraction": "call",
    "defer_fraction": "call",
}
PARAMETER_RANGES: dict[str, tuple[float, float]] = {
    "replicas": (1, math.inf),
    "queue_limit": (0, math.inf),
    "interactive_reserve_fraction": (0, 1),
    "premium_reserve_fraction": (0, 1),
    "invalidation_rate_keys_per_s": (1, math.inf),
    "breaker_threshold_fraction": (0.001, 1),
    "timeout_s": (0.001, math.inf),
    "ask_fraction": (0, 1),
    "fallback_fraction": (0, 1),
    "read_replicas": (0, math.inf),
    "waiting_limit_s": (0.001, math.inf),
    "rate_limit_rps": (1, math.inf),
    "admission_reserve_fraction": (0, 1),
    "background_share_fraction": (0, 1),
    "query_ttl_s": (0, math.inf),
    "ttl_s": (0.001, math.inf),
    "memory_entries": (1, 100_000_000),
    "retry_budget_fraction": (0, 1),
    "defer_fraction": (0, 1),
}
"""What a control may let a parameter be at all; its own `low` and `high` lie within."""
INTEGER_PARAMETERS = frozenset(
    {
        "replicas",
        "queue_limit",
        "invalidation_rate_keys_per_s",
        "read_replicas",
        "rate_limit_rps",
        "memory_entries",
    }
)
PARAMETERS_WITH_OFF = frozenset(
    {
        "invalidation_rate_keys_per_s",
        "breaker_threshold_fraction",
        "timeout_s",
        "waiting_limit_s",
        "rate_limit_rps",
        "retry_budget_fraction",
    }
)


class Control(Frozen):
    """One lever: parameter `parameter` of the service or call named `of`, from `low` to `high` in `unit`.

    `off_at_high`: at `high` the mechanism is off (no timeout, no breaker, everything at once).
    """

    name: Text
    of: Text
    parameter: Parameter
    unit: Text
    low: Number
    high: Number
    scale: Literal["linear", "log"] = "linear"
    off_at_high: Flag = False
    meaning: Text = Field(description="one line for the documentation")

    @model_validator(mode="after")
    def _check_range(self) -> Control:
        if not self.low < self.high:
            raise ValueError(f"low {self.low} must be below high {self.high}")
        if self.scale == "log" and self.low <= 0:
            raise ValueError(f"low {self.low} must be above 0 on a log scale")
        if self.scale == "log" and math.isinf(self.high / self.low):
            raise ValueError(f"low {self.low} is too near to 0 for high {self.high} on a log scale")
        least, most = PARAMETER_RANGES[self.parameter]
        if self.low < least or self.high > most:
            what = f"low {self.low} and high {self.high} of {self.parameter}"
            raise ValueError(f"{what} must be {f'at least {least}' if most == math.inf else f'in [{least}, {most}]'}")
        if self.is_integer and not (float(self.low).is_integer() and float(self.high).is_integer()):
            raise ValueError(f"low {self.low} and high {self.high} of {self.parameter} must be whole numbers")
        if self.off_at_high and self.parameter not in PARAMETERS_WITH_OFF:
            raise ValueError(f"off_at_high = True: {self.parameter} cannot be off")
        return self

    @property
    def is_integer(self) -> bool:
        return self.parameter in INTEGER_PARAMETERS


class ControlTable:
    """The controls of a system with their as-found values, and the maps between natural units and [-1, 1].

    `default` has shape (num_controls,), in natural units, in the table's order.
    """

    def __init__(self, controls: tuple[Control, ...], default: NDArray[np.float64]) -> None:
        self.controls = controls
        self.names = tuple(control.name for control in controls)
        self._low = np.array([c.low for c in controls], dtype=np.float64)
        self._high = np.array([c.high for c in controls], dtype=np.float64)
        self._log = np.array([c.scale == "log" for c in controls])
        self._integer = np.array([c.is_integer for c in controls])
        self._safe_low = np.where(self._log, self._low, 1.0)
        self._safe_ratio = np.where(self._log, self._high, 2.0) / self._safe_low
        self.default = self.clip(default)
        self._found_action = self.action(self.default)
        self.default.flags.writeable = False

    def __len__(self) -> int:
        return len(self.controls)

    def natural(self, action: NDArray[np.floating]) -> NDArray[np.float64]:
        """Natural values of `action`, shape (num_controls,) in [-1, 1]; what lies outside is clipped.

        The as-found action, which is rounded to float32, gives the as-found values exactly.

        Raises:
            ConfigError: wrong shape, NaN or infinity.
        """
        action = np.asarray(action, dtype=np.float64)
        if action.shape != self._low.shape:
            raise ConfigError(f"action has shape {action.shape}, must be {self._low.shape}")
        return self.naturals(action)

    def naturals(self, actions: NDArray[np.floating]) -> NDArray[np.float64]:
        """`natural` of each of many actions, shape (…, num_controls)."""
        action = np.asarray(actions, dtype=np.float64)
        if action.shape[-1:] != self._low.shape:
            raise ConfigError(f"actions have shape {action.shape}, must be (…, {len(self)})")
        if not np.isfinite(action).all():
            culprit = self.names[int(np.argwhere(~np.isfinite(action))[0, -1])]
            raise ConfigError(f"action for {culprit} is not finite, must be in [-1, 1]")
        position = (np.minimum(np.maximum(action, -1.0), 1.0) + 1.0) / 2.0
        linear = self._low + position * (self._high - self._low)
        logarithmic = self._safe_low * self._safe_ratio**position
        logarithmic = np.where(position == 1.0, self._high, logarithmic)  # where off is, whatever the rounding
        values = self.clip(np.where(self._log, logarithmic, linear))
        return np.where(action.astype(np.float32) == self._found_action, self.default, values)

    def action(self, natural: NDArray[np.floating]) -> NDArray[np.float32]:
        """The action, shape (num_controls,), that sets the `natural` values; the inverse of `natural`."""
        values = self.clip(np.asarray(natural, dtype=np.float64))
        linear = (values - self._low) / (self._high - self._low)
        logarithmic = np.log(np.where(self._log, values, 1.0) / self._safe_low) / np.log(self._safe_ratio)
        return np.asarray(np.where(self._log, logarithmic, linear) * 2.0 - 1.0, dtype=np.float32)

    def clip(self, natural: NDArray[np.floating]) -> NDArray[np.float64]:
        """`natural` brought into the ranges, whole numbers where a control holds whole numbers."""
        values = np.minimum(np.maximum(np.asarray(natural, dtype=np.float64), self._low), self._high)
        return np.asarray(np.where(self._integer, np.rint(values), values), dtype=np.float64)

    def with_values(self, **values: float) -> NDArray[np.float64]:
        """The as-found settings with some controls set by name, in natural units.

        Raises:
            ConfigError: an unknown name, or a value out of the control's range.
        """
        natural = self.default.copy()
        for name, value in values.items():
            if name not in self.names:
                raise ConfigError(f"unknown control {name!r}; known: {', '.join(self.names)}")
            control = self.controls[self.names.index(name)]
            if not control.low <= value <= control.high:
                raise ConfigError(f"{name} = {value!r}: must be in [{control.low}, {control.high}] {control.unit}")
            natural[self.names.index(name)] = value
        return self.clip(natural)
