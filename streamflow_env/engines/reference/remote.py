"""What LLM endpoints and vector indices have in common: they answer after a latency, and a caller may time out."""

from __future__ import annotations

import simpy

from streamflow_env.engines.reference.calls import Call, Serving
from streamflow_env.engines.reference.service import UnlimitedService, Visit
from streamflow_env.engines.reference.simulation import RELEASE
from streamflow_env.engines.telemetry import OK, TIMEOUT


class RemoteService(UnlimitedService):
    """A service that answers after a latency. A caller may stop waiting; then the work goes on as orphaned work."""

    retry_after_ns = 0

    def answer(self, visit: Visit, latency_ns: int, call: Call) -> Serving:
        """Answer after `latency_ns`, in flight until then. The caller waits at most its timeout."""
        self.busy.add(1)
        attempt = visit.attempt
        timeout_ns = call.timeout_ns
        if timeout_ns is not None and timeout_ns < latency_ns:
            work_ends = self.sim.wake(latency_ns, RELEASE, attempt.request, attempt.number, visit.step)
            work_ends.callbacks.append(self._end_orphaned)
            yield from attempt.pause(timeout_ns, visit.step)
            self.counts["timeouts"] += 1
            call.counts["timeouts"] += 1
            self.log_visit(visit, TIMEOUT)
            return TIMEOUT
        yield from attempt.pause(latency_ns, visit.step)
        self.busy.add(-1)
        self.complete(visit)
        return OK

    def _end_orphaned(self, _: simpy.Event) -> None:
        self.busy.add(-1)
        self.counts["orphaned"] += 1
