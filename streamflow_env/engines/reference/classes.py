"""Request classes: the counters of each of a class's two priorities."""

from __future__ import annotations

from streamflow_env.engines.telemetry import CLASS_FIELDS, NUM_BUCKETS


class RequestClass:
    """Request class number `index` of the system. `is_interactive`: users wait for its answers."""

    def __init__(self, index: int, is_interactive: bool) -> None:
        self.index = index
        self.is_interactive = is_interactive
        self.counts = [dict.fromkeys(CLASS_FIELDS, 0) for _ in range(2)]
        self.response = [[0] * NUM_BUCKETS for _ in range(2)]

    def measure(self) -> list[dict[str, int]]:
        """The counters of the interval that ends now, by priority. Starts new ones; gauges keep their value."""
        ended, self.counts = self.counts, [dict.fromkeys(CLASS_FIELDS, 0) for _ in range(2)]
        for new, old in zip(self.counts, ended, strict=True):
            new["in_flight"], new["thinking"] = old["in_flight"], old["thinking"]
        return ended

    def measure_response(self) -> list[list[int]]:
        """The histograms of response times of the interval that ends now, by priority. Starts new ones."""
        ended, self.response = self.response, [[0] * NUM_BUCKETS for _ in range(2)]
        return ended
