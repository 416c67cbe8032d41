"""Vector indices: the latency grows with the queries in flight. A query cache may keep results for some time."""

from __future__ import annotations

from streamflow_env.engines.draws.distributions import to_ns
from streamflow_env.engines.draws.hashing import CALL_LATENCY
from streamflow_env.engines.reference.calls import Call, Serving
from streamflow_env.engines.reference.remote import RemoteService
from streamflow_env.engines.reference.service import Visit
from streamflow_env.engines.reference.simulation import DurationDraw, Simulation
from streamflow_env.engines.telemetry import OK
from streamflow_env.system import VectorIndex as VectorConfig


class QueryCache:
    """A cache of search results by item. An item has one possible entry, and replaces the item that is in it."""

    def __init__(self, num_entries: int, ttl_s: float) -> None:
        self._num_entries = num_entries
        self._entries: dict[int, tuple[int, int]] = {}  # item, time of writing (ns)
        self.ttl_s = ttl_s

    def age_ns(self, item: int, now_ns: int) -> int | None:
        """The age of the result for `item`; None if there is none that is younger than `ttl_s`."""
        kept_item, written_ns = self._entries.get(item % self._num_entries, (None, 0))
        age_ns = now_ns - written_ns
        return age_ns if kept_item == item and age_ns < int(to_ns(self.ttl_s)) else None

    def keep(self, item: int, now_ns: int) -> None:
        """Keep a result for `item`, written now."""
        self._entries[item % self._num_entries] = item, now_ns


class VectorIndex(RemoteService):
    """A vector index. Its query cache is empty at first."""

    def __init__(self, sim: Simulation, index: int, config: VectorConfig) -> None:
        super().__init__(sim, index)
        self.config: VectorConfig = config
        self._variation = DurationDraw(1.0, config.cv)
        self._results = QueryCache(config.query_entries, config.query_ttl_s)
        self._num_hits = 0  # hits of the query cache that are in flight

    def serve(self, visit: Visit, call: Call) -> Serving:
        """Answer from the query cache, or by a search."""
        if not call.cacheable:
            return (yield from self._search(visit, call))
        item = visit.attempt.item
        if self._results.ttl_s > 0:
            age_ns = self._results.age_ns(item, self.sim.now)
            if age_ns is not None:
                return (yield from self._answer_from_cache(visit, age_ns))
        outcome = yield from self._search(visit, call)
        if outcome == OK and self._results.ttl_s > 0:
            self._results.keep(item, self.sim.now)
        return outcome

    def _answer_from_cache(self, visit: Visit, age_ns: int) -> Serving:
        self.counts["query_hits"] += 1
        self.counts["age_ns"] += age_ns
        self._num_hits += 1
        yield from visit.attempt.pause(int(to_ns(self.config.cached_latency_s * self.slowdown)), visit.step)
        self._num_hits -= 1
        self.complete(visit)
        return OK

    def _search(self, visit: Visit, call: Call) -> Serving:
        """Answer by a search. Its latency grows with the number of searches in flight."""
        config = self.config
        busy = self.busy.value + 1
        x = busy / config.knee_in_flight
        unloaded_s = config.base_latency_s + config.latency_per_query_s * busy
        mean_s = unloaded_s + (config.saturated_latency_s - config.base_latency_s) * x * x / (1.0 + x * x)
        u = visit.attempt.u(CALL_LATENCY, visit.step, visit.round)
        return (yield from self.answer(visit, self._variation.ns(u, mean_s * self.slowdown), call))

    def set_query_ttl(self, ttl_s: float) -> None:
        """From now on results are used again for so long."""
        self._results.ttl_s = ttl_s

    def measure(self) -> dict[str, int]:
        counts = super().measure()
        counts["in_flight"] += self._num_hits
        return counts
