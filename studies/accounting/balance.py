"""The accounts that must balance, exactly, at every step: every request that came is in service or has ended once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamflow_env.engines.telemetry import Telemetry
from streamflow_env.environment.accounting import ATTEMPT_ENDS, SERVICE_ENDS


def accounting_errors(previous: Telemetry | None, current: Telemetry) -> list[str]:
    """What does not balance in `current`, one line each; empty when all accounts do.

    At every service, arrivals = ends + change of in_flight; for every class and priority, attempts = ends + change of
    in_flight; and as many response times are in the histograms as attempts ended. No counter is negative. `previous`
    is the telemetry of the interval before and gives what was in flight; with None nothing was.
    """
    services, classes = current.services, current.classes
    service_change, class_change = services["in_flight"].copy(), classes["in_flight"].copy()
    if previous is not None:
        service_change -= previous.services["in_flight"]
        class_change -= previous.classes["in_flight"]
    ended = _total(classes, ATTEMPT_ENDS)
    return [
        *_unequal("arrivals", services["arrivals"], _total(services, SERVICE_ENDS) + service_change),
        *_unequal("attempts", classes["attempts"], ended + class_change),
        *_unequal("response histogram", current.response.sum(axis=-1), ended),
        *_negative("services", services),
        *_negative("classes", classes),
        *_negative("calls", current.calls),
    ]


def _total(records: NDArray[Any], fields: tuple[str, ...]) -> NDArray[np.int64]:
    return np.asarray(np.sum([records[field] for field in fields], axis=0), dtype=np.int64)


def _unequal(account: str, left: NDArray[Any], right: NDArray[Any]) -> list[str]:
    return [
        f"{account}{list(map(int, row))}: {int(left[tuple(row)])} is not {int(right[tuple(row)])}"
        for row in np.argwhere(left != right)
    ]


def _negative(record: str, records: NDArray[Any]) -> list[str]:
    if not records.size or np.ascontiguousarray(records).view(np.int64).min() >= 0:
        return []
    names = records.dtype.names or ()
    return [f"{record}.{name} is negative: {records[name].tolist()}" for name in names if (records[name] < 0).any()]
