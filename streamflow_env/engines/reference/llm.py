"""LLM endpoints: a token bucket, and a latency with a heavy tail."""

from __future__ import annotations

from streamflow_env.engines.draws.distributions import scaled_ns, to_ns
from streamflow_env.engines.draws.hashing import CALL_LATENCY
from streamflow_env.engines.reference.calls import Call, Serving
from streamflow_env.engines.reference.remote import RemoteService
from streamflow_env.engines.reference.service import Visit
from streamflow_env.engines.reference.simulation import DurationDraw, Simulation
from streamflow_env.engines.reference.tokens import TOKEN, TokenBucket
from streamflow_env.engines.telemetry import RATE_LIMITED
from streamflow_env.episode import ChangeKind
from streamflow_env.system import LlmEndpoint as LlmConfig


class LlmEndpoint(RemoteService):
    """An LLM endpoint. Its bucket is full at first."""

    def __init__(self, sim: Simulation, index: int, config: LlmConfig) -> None:
        super().__init__(sim, index)
        self.config: LlmConfig = config
        self._tail = DurationDraw.of(config.tail)
        self._latencies_ns = () if config.token_latency is None else config.token_latency.latencies_ns
        self._incident_retry_after_s = 0.0
        self._tokens = TokenBucket(sim, config.burst, config.quota_per_minute, config.background_share_fraction)

    # A call

    def serve(self, visit: Visit, call: Call) -> Serving:
        """Answer, or refuse with a 429 if there is no token."""
        if not self._takes_token(visit):
            self.counts["rate_limited"] += 1
            call.counts["rate_limited"] += 1
            self.log_visit(visit, RATE_LIMITED)
            yield from visit.attempt.pause(int(to_ns(self.config.rejection_time_s)), visit.step)
            return RATE_LIMITED
        latency_ns = self._latency_ns(visit.attempt.u(CALL_LATENCY, visit.step, visit.round))
        return (yield from self.answer(visit, latency_ns, call))

    def _takes_token(self, visit: Visit) -> bool:
        if not visit.attempt.is_interactive:
            return self.takes_token_in_background()
        return self._tokens.take(0.0 if visit.attempt.premium else self.config.premium_reserve_fraction)

    def _latency_ns(self, u: float) -> int:
        """The latency of the draw `u` (ns)."""
        if self._latencies_ns:
            return int(scaled_ns(self._latencies_ns[int(u * len(self._latencies_ns))], self.slowdown))
        return int(to_ns(self.config.floor_latency_s * self.slowdown)) + self._tail.ns(u, self.slowdown)

    @property
    def retry_after_ns(self) -> int:  # type: ignore[override]
        """How long a caller waits at least after a 429 (ns)."""
        return int(to_ns(max(self.config.retry_after_s, self._incident_retry_after_s)))

    # A background request: of a background class, or of a deferred queue

    def takes_token_in_background(self) -> bool:
        """Whether there is a token for a background request. If so, it is taken."""
        interactive, premium = self.config.interactive_reserve_fraction, self.config.premium_reserve_fraction
        return self._tokens.take_in_background(max(interactive, premium))

    def begin_in_background(self, u: float) -> int:
        """A request of a deferred queue arrives, with its token; its latency for the draw `u` (ns)."""
        self.counts["arrivals"] += 1
        self.busy.add(1)
        return self._latency_ns(u)

    def end_in_background(self, arrived_ns: int) -> None:
        """A request of a deferred queue, which arrived at `arrived_ns`, is answered."""
        self.busy.add(-1)
        self.count_completion(arrived_ns)

    # Incidents, controls and telemetry

    def change(self, kind: ChangeKind, value: float) -> None:
        if kind == "quota_factor":
            self._tokens.set_quota(int(self.config.quota_per_minute * value))
        elif kind == "retry_after_s":
            self._incident_retry_after_s = float(value)
        else:
            super().change(kind, value)

    def set_background_share(self, fraction: float) -> None:
        """From now on this part of quota and burst is kept for background requests."""
        self._tokens.set_share(fraction)

    def measure(self) -> dict[str, int]:
        self._tokens.refill()
        counts = super().measure()
        counts["tokens_milli"] = self._tokens.level * 1000 // TOKEN
        return counts
