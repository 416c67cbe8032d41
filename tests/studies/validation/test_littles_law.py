from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from streamflow_env.engines.telemetry import Telemetry
from streamflow_env.system import Consumer, load_system
from studies.validation.littles_law import Accounts, EpisodeRun, accounts_of, littles_law_checks
from studies.validation.littles_law_consumers import replay

SYSTEM = load_system()
CHECKED = {name for name, service in SYSTEM.services.items() if service.kind != "deferred_queue"}


def test_at_every_service_in_trouble() -> None:
    """An hour with a retry storm: full queues, deadlines, faults and retries; not a nanosecond is missing."""
    accounts = accounts_of(SYSTEM, EpisodeRun("retry-storm", 1, "compiled"))
    assert accounts.differences() == dict.fromkeys(CHECKED, 0.0)
    checked = [name in CHECKED for name in SYSTEM.services]
    assert np.array_equal(accounts.of_visits[:, checked], accounts.of_telemetry[:, checked])
    assert (accounts.of_visits.sum(axis=1) > 0).all()


def test_at_every_service_of_a_cell_that_differs() -> None:
    """Its system is the episode's own; there, too, the log begins with the first request."""
    differences = accounts_of(SYSTEM, EpisodeRun("varied-compound", 0, "compiled", end_s=300.0)).differences()
    assert differences == dict.fromkeys(CHECKED, 0.0)


def test_the_engines_agree() -> None:
    whole, beginning = littles_law_checks(scenarios=("normal",), repeated_s=600.0)
    assert whole.passes
    assert whole.reference is None
    assert beginning.passes
    assert beginning.reference == 0.0


@pytest.mark.parametrize("field", ["queue_ns", "busy_ns", "cpu_busy_ns"])
def test_a_nanosecond_too_much_is_found(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    add = Accounts.add

    def add_wrongly(self: Accounts, telemetry: Telemetry) -> None:
        services = telemetry.services.copy()
        services[field][SYSTEM.service_names.index("engine")] += 1
        add(self, dataclasses.replace(telemetry, services=services))

    monkeypatch.setattr(Accounts, "add", add_wrongly)
    differences = accounts_of(SYSTEM, EpisodeRun("normal", 0, "compiled", end_s=60.0)).differences()
    assert {name for name, difference in differences.items() if difference > 0} == {"engine"}


def test_the_replay_of_a_consumer_by_hand() -> None:
    """Batches of two of 10 ns, a queue of two: the first begins at once, the fourth finds it full and is lost."""
    consumer = Consumer.model_validate(
        {"kind": "consumer", "queue_limit": 2, "batch_size": 2, "batch_time": {"mean_s": 1.0}}
    )
    assert replay([0, 3, 5, 6, 50], consumer, lambda number: 10) == ((10 - 3) + (10 - 5), 30)
