"""Services without workers of their own in a plan: a call waits for the answer, or gives up."""

from __future__ import annotations

from typing import Any

from streamflow_env.engines.compiled.service import complete, log_visit, touch
from streamflow_env.engines.compiling import inlined
from streamflow_env.engines.telemetry import OK, TIMEOUT


@inlined
def leaf_visit(
    w: Any, s: Any, hists: Any, visits: Any, r: Any, number: int, round_: int, index: int, started: int
) -> None:
    """A call that was answered leaves a service without workers of its own."""
    touch(w.now, s)
    s.busy -= 1
    s.in_flight -= 1
    complete(s, hists, index, w.now - r.arrived_ns)
    log_visit(w, visits, r, number, round_, index, r.arrived_ns, started, OK)


@inlined
def timed_out(w: Any, c: Any, s: Any, visits: Any, r: Any, step: Any) -> None:
    """The caller no longer waits; the service does not know."""
    s.timeouts += 1
    c.timeouts += 1
    log_visit(w, visits, r, step.number, r.round, step.service, r.arrived_ns, r.arrived_ns, TIMEOUT)


@inlined
def release(w: Any, s: Any) -> None:
    """Work that nobody waits for any more is done."""
    touch(w.now, s)
    s.busy -= 1
    s.in_flight -= 1
    s.orphaned += 1
