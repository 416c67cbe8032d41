"""What LLM endpoints and vector indices have in common: an answer after a latency, and callers that give it up."""

from __future__ import annotations

from collections.abc import Generator

import simpy

from streamflow_env.engines.reference.calls import Call
from streamflow_env.engines.reference.service import UnlimitedService, Visit
from streamflow_env.engines.reference.simulation import RELEASE
from streamflow_env.engines.telemetry import OK, TIMEOUT

Serving = Generator[simpy.Event, None, int]
"""One attempt of a call; its value is the outcome."""


class RemoteService(UnlimitedService):
    """A service that answers after a latency; work for a caller that no longer waits goes on until it is done."""

    retry_after_ns = 0

    def answer(self, visit: Visit, latency_ns: int, call: Call) -> Serving:
        """Answer after `latency_ns`, in flight all the while; the caller waits its timeout at most."""
        self.busy.add(1)
        attempt = visit.attempt
        timeout_ns = call.timeout_ns
        if timeout_ns is not None and timeout_ns < latency_ns:
            work_ends = self.sim.wake(latency_ns, RELEASE, attempt.request, attempt.number, visit.step)
            work_ends.callbacks.append(self._abandon)
            yield from attempt.pause(timeout_ns, visit.step)
            self.counts["timeouts"] += 1
            call.counts["timeouts"] += 1
            self.log_visit(visit, TIMEOUT)
            return TIMEOUT
        yield from attempt.pause(latency_ns, visit.step)
        self.busy.add(-1)
        self.complete(visit)
        return OK

    def _abandon(self, _: simpy.Event) -> None:
        self.busy.add(-1)
        self.counts["orphaned"] += 1
