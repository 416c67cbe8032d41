"""What an operator can read of the system, as one table: name, unit, range, scale and reading of the telemetry.

The observation space, the encoding, its inverse and the documentation follow from the table. The table is derived from
the system by kinds of service; no service's name is used here.

A measured or announced field is normalised to [0, 1], a control's setting to [-1, 1], the time of day is (sin, cos).
Scales: `linear`: value / high · `log`: log(1 + value/knee) / log(1 + high/knee), linear below the knee and logarithmic
above · `control`: the control table's own map. Values beyond `high` are clipped.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streamflow_env.engines.fleet import FleetTelemetry
from streamflow_env.engines.telemetry import Telemetry
from streamflow_env.environment.observations.decoder import HOUR, HOURS_A_DAY, Decoder
from streamflow_env.environment.observations.fields import Field, normal_rps
from streamflow_env.environment.observations.requests import call_fields, class_fields, overall_fields
from streamflow_env.environment.observations.rewarded import rewarded_fields
from streamflow_env.environment.observations.services import service_fields
from streamflow_env.environment.readings import PriceFactors, Readings
from streamflow_env.episode import USUAL_PRICES
from streamflow_env.system import System

ANNOUNCED_HIGH_S: Final = 1800.0
"""Campaigns further ahead look as if there were none: half an hour. Assumed."""
ANNOUNCED_HIGH: Final = 10.0
"""Highest announced rate in the observation, in normal rates. Assumed."""
NOTHING_ANNOUNCED: Final = (math.inf, 0.0)


class ObservationTable:
    """The fields of a system's observation: measurements, announcements, sin and cos of the time of day, settings.

    Attributes:
        fields: in the order of the observation.
        low, high: bounds of the encoded observation, shape (size,), float32.
        num_measured: how many fields are measured; they are the first.
    """

    def __init__(self, system: System) -> None:
        measured = list(_measured(system))
        scaled = measured + list(_announced(system))
        self.fields = tuple(scaled + list(_clock()) + list(_settings(system)))
        self.names = tuple(field.name for field in self.fields)
        self.size = len(self.fields)
        self._num_scaled = len(scaled)
        self._controls = system.control_table
        self.num_measured = len(measured)
        self._readings = Readings(system, [field.reading for field in measured if field.reading is not None])
        self._high = np.array([f.high for f in scaled])
        self._log = np.array([f.scale == "log" for f in scaled])
        self._knee = np.array([f.knee for f in scaled])
        self._norm = np.log1p(self._high / self._knee)
        self.high = np.ones(self.size, dtype=np.float32)
        self.low = np.concatenate((np.zeros(self._num_scaled), -np.ones(self.size - self._num_scaled)))
        self.low = self.low.astype(np.float32)
        self._decode = self.decoder((*self.names, HOUR))

    def __len__(self) -> int:
        return self.size

    def encode(
        self,
        telemetry: Telemetry | FleetTelemetry,
        time_of_day_h: float | Sequence[float],
        settings: NDArray[np.floating],
        announced: tuple[float, float] | NDArray[np.float64] = NOTHING_ANNOUNCED,
    ) -> NDArray[np.float32]:
        """The observation, shape (size,); of a fleet, every argument with the cells as leading axis, (num_cells, size).

        `settings` are those in force, as an action: shape (num_controls,), in [-1, 1]. `announced` is of the next
        campaign that is known: seconds to its start (0 while it runs), first attempts per second that it is to bring.
        """
        return self.encode_values(self.measure(telemetry), time_of_day_h, settings, announced)

    def measure(
        self, telemetry: Telemetry | FleetTelemetry, price_factors: PriceFactors = USUAL_PRICES
    ) -> NDArray[np.float64]:
        """The measured fields in natural units, shape (num_measured,), of a fleet (num_cells, num_measured).

        `price_factors` are those of the episode, shape (3,), or of each cell's, shape (num_cells, 3).
        """
        return self._readings.evaluate(telemetry, price_factors)

    def encode_values(
        self,
        measured: NDArray[np.float64],
        time_of_day_h: float | Sequence[float],
        settings: NDArray[np.floating],
        announced: tuple[float, float] | NDArray[np.float64] = NOTHING_ANNOUNCED,
    ) -> NDArray[np.float32]:
        """`encode`, of what `measure` gives or the monitoring makes of it."""
        values = np.concatenate((measured, announced), axis=-1)
        values = np.minimum(np.maximum(values, 0.0), self._high)
        scaled = np.where(self._log, np.log1p(values / self._knee) / self._norm, values / self._high)
        clock = (
            _sine_and_cosine(time_of_day_h)
            if isinstance(time_of_day_h, float | int)
            else [_sine_and_cosine(hour) for hour in time_of_day_h]
        )
        action = np.minimum(np.maximum(settings, -1.0), 1.0)
        return np.concatenate((scaled, clock, action), axis=-1, dtype=np.float32)

    def decode(self, observation: NDArray[np.floating]) -> dict[str, NDArray[np.float64]]:
        """Natural values by name, each of shape () or (n,), of an observation of shape (size,) or (n, size).

        `time_of_day_h` is there too, next to the sine and cosine it is read from.
        """
        return dict(zip(self._decode.names, self._decode(observation), strict=True))

    def decoder(self, names: Sequence[str]) -> Decoder:
        """As `decode`, but of the readings `names` alone, as one array: a function that is fast.

        Raises:
            ConfigError: there is no reading of a name.
        """
        return Decoder(names, self.fields, self._controls)


def _sine_and_cosine(time_of_day_h: float) -> tuple[float, float]:
    angle = 2.0 * math.pi * time_of_day_h / HOURS_A_DAY
    return math.sin(angle), math.cos(angle)


def _measured(system: System) -> Iterator[Field]:
    for row, (name, service) in enumerate(system.services.items()):
        yield from service_fields(system, row, name, service)
    for row, (name, policy) in enumerate(system.calls.items()):
        yield from call_fields(system, row, name, policy)
    for row, (name, request_class) in enumerate(system.classes.items()):
        yield from class_fields(system, row, name, request_class)
    yield from overall_fields(system)
    yield from rewarded_fields(system)


def _announced(system: System) -> Iterator[Field]:
    normal = normal_rps(system)
    start = "to the start of the next campaign that is known, 0 while it runs; none: the highest"
    yield Field("announced.starts_in_s", "s", 0.0, ANNOUNCED_HIGH_S, "linear", start)
    opens = "first attempts that it is to bring, if all goes to plan, on average; none: 0"
    yield Field("announced.expected_rps", "1/s", 0.0, ANNOUNCED_HIGH * normal, "log", opens, knee=normal)


def _clock() -> Iterator[Field]:
    yield Field("time_of_day.sin", "", -1.0, 1.0, "sin", "of 2π · hour / 24")
    yield Field("time_of_day.cos", "", -1.0, 1.0, "cos", "of 2π · hour / 24")


def _settings(system: System) -> Iterator[Field]:
    for control in system.controls:
        yield Field(f"control.{control.name}", control.unit, control.low, control.high, "control", control.meaning)
