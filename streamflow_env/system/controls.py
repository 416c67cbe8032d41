"""Controls: the one table of what an operator, a baseline or an agent can set in a system.

Action space, baselines, documentation and reports are read off this table. What a control may set at all is in
`parameters`. Values are in the parameter's unit, the natural unit. `natural` maps actions in [-1, 1] to natural values,
`action` maps them back. Either map is the inverse of the other on the values that a control can have. The map is linear
or logarithmic from `low` at -1 to `high` at +1, so every part of the axis has an effect. A control that can be off is
off at its `high` end (a timeout, a threshold, a rate: the higher it is, the less it does).
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, model_validator

from streamflow_env.errors import ConfigError
from streamflow_env.system.parameters import PARAMETERS, Parameter
from streamflow_env.system.schema import Flag, Frozen, Number, Text


def _known(name: str) -> str:
    if name not in PARAMETERS:
        raise ValueError(f"must be one of {', '.join(PARAMETERS)}")
    return name


class Control(Frozen):
    """Sets the parameter `parameter` of the service or call named `of`, from `low` to `high`, in the parameter's unit.

    With `off_at_high` the mechanism is off at `high` (no timeout, no breaker, everything at once).
    """

    name: Text
    of: Text
    parameter: Annotated[Text, AfterValidator(_known)]
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
        self._check_parameter(self.sets)
        return self

    def _check_parameter(self, parameter: Parameter) -> None:
        least, most = parameter.least, parameter.most
        if self.low < least or self.high > most:
            what = f"low {self.low} and high {self.high} of {parameter.name}"
            raise ValueError(f"{what} must be in [{least}, {most:.10g}]")
        if parameter.whole and not (float(self.low).is_integer() and float(self.high).is_integer()):
            raise ValueError(f"low {self.low} and high {self.high} of {parameter.name} must be whole numbers")
        if self.off_at_high and not parameter.can_be_off:
            raise ValueError(f"off_at_high = True: {parameter.name} cannot be off")

    @property
    def sets(self) -> Parameter:
        """What is known of the parameter that it sets."""
        return PARAMETERS[self.parameter]

    @property
    def unit(self) -> str:
        """The unit of its natural values."""
        return self.sets.unit

    @property
    def is_integer(self) -> bool:
        """Whether its natural values are whole numbers."""
        return self.sets.whole


class ControlTable:
    """The controls of a system with their default values, and the maps between natural units and [-1, 1].

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
        self._default_action = self.action(self.default)
        self.default.flags.writeable = False

    def __len__(self) -> int:
        return len(self.controls)

    def natural(self, action: NDArray[np.floating]) -> NDArray[np.float64]:
        """Natural values of `action`, shape (num_controls,) in [-1, 1]. Values outside are clipped.

        The action of the default values, which is rounded to float32, gives exactly the default values.

        Raises:
            ConfigError: wrong shape, NaN or infinity.
        """
        action = np.asarray(action, dtype=np.float64)
        if action.shape != self._low.shape:
            raise ConfigError(f"action has shape {action.shape}, must be {self._low.shape}")
        return self.naturals(action)

    def naturals(self, actions: NDArray[np.floating]) -> NDArray[np.float64]:
        """`natural` of each of many actions, shape (…, num_controls).

        Raises:
            ConfigError: wrong shape, NaN or infinity.
        """
        action = np.asarray(actions, dtype=np.float64)
        if action.shape[-1:] != self._low.shape:
            raise ConfigError(f"actions have shape {action.shape}, must be (…, {len(self)})")
        if not np.isfinite(action).all():
            culprit = self.names[int(np.argwhere(~np.isfinite(action))[0, -1])]
            raise ConfigError(f"action for {culprit} is not finite, must be in [-1, 1]")
        position = (np.minimum(np.maximum(action, -1.0), 1.0) + 1.0) / 2.0
        linear = self._low + position * (self._high - self._low)
        logarithmic = self._safe_low * self._safe_ratio**position
        logarithmic = np.where(position == 1.0, self._high, logarithmic)  # exactly, for `high` may mean off
        values = self.clip(np.where(self._log, logarithmic, linear))
        return np.where(action.astype(np.float32) == self._default_action, self.default, values)

    def action(self, natural: NDArray[np.floating]) -> NDArray[np.float32]:
        """The action that sets the `natural` values, both of shape (…, num_controls). The inverse of `natural`."""
        values = self.clip(np.asarray(natural, dtype=np.float64))
        linear = (values - self._low) / (self._high - self._low)
        logarithmic = np.log(np.where(self._log, values, 1.0) / self._safe_low) / np.log(self._safe_ratio)
        return np.asarray(np.where(self._log, logarithmic, linear) * 2.0 - 1.0, dtype=np.float32)

    def clip(self, natural: NDArray[np.floating]) -> NDArray[np.float64]:
        """`natural` values, shape (…, num_controls), clipped to the ranges, and rounded where they must be whole."""
        values = np.minimum(np.maximum(np.asarray(natural, dtype=np.float64), self._low), self._high)
        return np.asarray(np.where(self._integer, np.rint(values), values), dtype=np.float64)

    def with_values(self, **values: float) -> NDArray[np.float64]:
        """The default values, with some controls set by name, in natural units, shape (num_controls,).

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
