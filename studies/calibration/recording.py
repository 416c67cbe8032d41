"""One episode of a system with its default configuration: the counters of every interval, and of all together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamflow_env.engines import make_engine
from streamflow_env.engines.telemetry import Telemetry
from streamflow_env.environment.metrics import accumulate
from streamflow_env.environment.readings import Count, Ratio
from streamflow_env.scenarios import Scenario
from streamflow_env.system import System

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Recording:
    """What was measured in one episode, from `skip_s` on.

    Attributes:
        interval_s: length of an interval.
        ends_s: shape (num_intervals,): when each ends, in seconds from t = 0.
        services, classes, calls: the telemetry's records, a leading axis of num_intervals before theirs.
        total: all intervals as one; the only place that has histograms.
    """

    system: System
    interval_s: float
    ends_s: Array
    services: NDArray[Any]
    classes: NDArray[Any]
    calls: NDArray[Any]
    total: Telemetry

    def sliding(self, ratio: Ratio, window_s: float) -> tuple[Array, Array]:
        """(ends in seconds from t = 0, values) of `ratio` over every whole window of `window_s`, one an interval."""
        width = round(window_s / self.interval_s)
        above = self._window_sums(ratio.numerator, width)
        if ratio.per_ns:
            return self.ends_s[width - 1 :], above / (width * self.interval_s * 1e9)
        if ratio.denominator is None:
            return self.ends_s[width - 1 :], above
        below = self._window_sums(ratio.denominator, width)
        values = np.divide(above, below, out=np.full(above.shape, ratio.empty), where=below > 0)
        return self.ends_s[width - 1 :], values

    def gauge(self, service: str, field: str) -> NDArray[np.int64]:
        """A service's field in each interval, shape (num_intervals,)."""
        return np.asarray(self.services[field][:, self.system.service_names.index(service)], dtype=np.int64)

    def _window_sums(self, counts: tuple[Count, ...], width: int) -> Array:
        total = np.zeros(len(self.ends_s) - width + 1)
        for count in counts:
            records = getattr(self, count.record).reshape(len(self.ends_s), -1)
            cumulated = np.concatenate(([0], np.cumsum(records[count.field][:, count.row])))
            total += count.weight * (cumulated[width:] - cumulated[:-width])
        return total


def record(
    system: System, scenario: Scenario, seed: int, *, engine: str, interval_s: float, skip_s: float = 0.0
) -> Recording:
    """Simulate episode `seed` of `scenario` under the default action, measured every `interval_s`.

    What is measured does not depend on `interval_s`, because no control changes.
    """
    system = system.model_copy(update={"control_interval_s": interval_s})
    episode = scenario.episode(system, seed)
    simulation = make_engine(engine, system)
    simulation.reset(episode)
    first, last = round(skip_s / interval_s), round(episode.horizon_s / interval_s)
    kept: list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]] = []
    total: Telemetry | None = None
    for interval in range(last):
        telemetry = simulation.step(system.control_table.default)
        if interval >= first:
            total = accumulate(total, telemetry)
            kept.append((telemetry.services, telemetry.classes, telemetry.calls))
    assert total is not None, f"{episode.scenario}: skip_s = {skip_s} leaves nothing of it"
    services, classes, calls = (np.stack(records) for records in zip(*kept, strict=True))
    ends_s = interval_s * np.arange(first + 1, last + 1, dtype=np.float64)
    return Recording(system, interval_s, ends_s, services, classes, calls, total)
