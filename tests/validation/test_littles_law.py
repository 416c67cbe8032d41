from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from streamflow_env.engines.telemetry import Telemetry
from streamflow_env.system import load_system
from streamflow_env.validation.littles_law import Accounts, Job, accounts_of, littles_law_rows

SYSTEM = load_system()
LOGGED = {name for name, service in SYSTEM.services.items() if service.kind not in ("consumer", "deferred_queue")}


def test_at_every_service_in_trouble() -> None:
    """An hour with a retry storm: full queues, deadlines, faults and retries; not a nanosecond is missing."""
    accounts = accounts_of(SYSTEM, Job("retry-storm", 1, "compiled"))
    assert accounts.differences() == dict.fromkeys(LOGGED, 0.0)
    logged = [name in LOGGED for name in SYSTEM.services]  # consumers and deferred queues log no visits
    assert np.array_equal(accounts.of_visits[0][logged], accounts.of_telemetry[0][logged])
    assert (accounts.of_visits.sum(axis=1) > 0).all()


def test_the_engines_agree() -> None:
    (row,) = littles_law_rows(scenarios=())
    assert row.passes
    assert row.reference == 0.0


@pytest.mark.parametrize("field", ["queue_ns", "busy_ns", "cpu_busy_ns"])
def test_a_nanosecond_too_much_is_found(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    add = Accounts.add

    def add_wrongly(self: Accounts, telemetry: Telemetry) -> None:
        services = telemetry.services.copy()
        services[field][SYSTEM.service_names.index("engine")] += 1
        add(self, dataclasses.replace(telemetry, services=services))

    monkeypatch.setattr(Accounts, "add", add_wrongly)
    differences = accounts_of(SYSTEM, Job("normal", 0, "compiled", end_s=60.0)).differences()
    assert {name for name, difference in differences.items() if difference > 0} == {"engine"}
