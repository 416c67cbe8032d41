"""The keda baseline: an HPA on the requests in a pool, by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest

from streamflow_agents.policies.baselines.desk import Desk
from streamflow_agents.policies.baselines.hpa import Hpa, HpaSettings
from streamflow_agents.policies.baselines.keda import Keda, KedaSettings
from streamflow_env.environment.observations import ObservationTable
from streamflow_env.errors import ConfigError
from streamflow_env.paths import config_path
from streamflow_env.system import load_system
from streamflow_env.system.schema import load, read_yaml
from tests.agents.policies.part_alone import PartAlone

SYSTEM = load_system()
TABLE = ObservationTable(SYSTEM)
ENGINE = SYSTEM.control_table.names.index("engine_replicas")
MOST = int(SYSTEM.controls[ENGINE].high)
WORKERS = dict(SYSTEM.pools())["engine"].workers_per_replica
CALM = {
    **dict.fromkeys(TABLE.names, 0.0),
    **{f"{name}.ready_replicas": float(pool.replicas) for name, pool in SYSTEM.pools()},
}
SHIPPED = config_path("baselines", "keda")


def keda(**changes: Any) -> PartAlone[Keda]:
    return PartAlone(SYSTEM, TABLE, lambda desk: Keda(desk, load(KedaSettings, read_yaml(SHIPPED) | changes)))


def engine_replicas(policy: PartAlone[Keda], queues: list[float], **readings: float) -> list[int]:
    """What is set for the engine at each decision, one for each length of its queue. It is ready at the next one."""
    seen = []
    ready = CALM["engine.ready_replicas"]
    policy.begin()
    for queue in queues:
        now = {**CALM, "engine.ready_replicas": ready, "engine.queue_length": queue, **readings}
        ready = policy.settings(now)["engine_replicas"]
        seen.append(int(ready))
    return seen


def queue_for(replicas: float) -> float:
    return replicas * 0.6 * WORKERS


def test_it_counts_what_is_served_and_what_waits() -> None:
    served, waiting = 0.4 * 6 * WORKERS, 2.0 * WORKERS
    seen = engine_replicas(keda(target_in_flight_fraction=0.5), [waiting], **{"engine.utilisation": 0.4})
    assert seen == [math.ceil((served + waiting) / (0.5 * WORKERS))] == [9]


@pytest.mark.parametrize("calm_intervals", range(4))
def test_it_answers_at_each_interval(calm_intervals: int) -> None:
    """15 s after a queue begins, whenever that is: nothing waits for an interval of KEDA's."""
    assert SYSTEM.control_interval_s == 15.0
    seen = engine_replicas(keda(), [queue_for(6)] * calm_intervals + [queue_for(7), queue_for(8)])
    assert seen == [6] * calm_intervals + [7, 8]


def test_it_goes_down_when_the_last_higher_recommendation_is_300_s_old() -> None:
    seen = engine_replicas(keda(), [queue_for(8)] + [queue_for(3)] * 25)
    assert seen == [8] * 20 + [3] * 6


def test_the_window_is_the_hpas() -> None:
    behavior = {"scale_down": {"stabilization_window_s": 60.0}}
    assert engine_replicas(keda(behavior=behavior), [queue_for(8)] + [queue_for(3)] * 6) == [8] * 4 + [3] * 3


def test_it_scales_up_by_the_hpas_policies() -> None:
    assert engine_replicas(keda(), [queue_for(3)] * 25 + [queue_for(50)] * 3)[-4:] == [3, 7, 14, MOST]


@pytest.mark.parametrize("name", ["polling_s", "cooldown_s", "polling_interval_s", "cooldown_period_s"])
def test_there_is_no_polling_interval_and_no_cooldown(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"^configuration: {name}: unknown key$"):
        keda(**{name: 30.0})


def test_its_number_has_three_decimals() -> None:
    """The observation is in single precision: what it says of a whole number of requests is that number."""
    at_tolerance = 1.1 * queue_for(6)
    assert engine_replicas(keda(), [at_tolerance * (1 + 1e-6)]) == [6]
    assert engine_replicas(keda(), [at_tolerance + 0.001]) == [7]


@pytest.mark.parametrize(("queue", "replicas"), [(0.0, 6), (1.0, 12)])
def test_a_tiny_target_is_a_thousandth_of_a_request(queue: float, replicas: int) -> None:
    assert engine_replicas(keda(target_in_flight_fraction=1e-10), [queue]) == [replicas]


def test_a_pool_without_replicas_is_left_alone() -> None:
    assert engine_replicas(keda(), [queue_for(6)], **{"engine.ready_replicas": 0.0}) == [0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target_in_flight_fraction": 0.0}, "target_in_flight_fraction = 0.0: must be greater than 0"),
        ({"target_in_flight_fraction": -0.5}, "target_in_flight_fraction = -0.5: must be greater than 0"),
        ({"min_replicas": {"auth": 0}}, "min_replicas.auth = 0: must be greater than or equal to 1"),
        ({"min_replicas": {"nosuch": 1}}, "min_replicas.nosuch: this pool has no replicas control"),
    ],
)
def test_a_wrong_setting_is_an_error(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        keda(**changes)


def test_it_differs_from_the_hpa_in_what_it_measures_alone() -> None:
    ours = keda()
    theirs = Hpa(Desk(SYSTEM, TABLE), load(HpaSettings, config_path("baselines", "hpa")))
    for pool, spec in ours.part.specs.items():
        same = {"min_replicas": 1, "metrics": spec.metrics}
        assert spec.model_copy(update=same) == theirs.specs[pool].model_copy(update=same)
