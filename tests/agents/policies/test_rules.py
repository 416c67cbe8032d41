"""The parts of the stronger baselines, each by hand; `scripts/compare.py` shows how strong they are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from streamflow_agents.policies.baselines import each_without, is_baseline, make_baseline
from streamflow_agents.policies.baselines.admission import Admission, AdmissionSettings
from streamflow_agents.policies.baselines.baseline import Baseline
from streamflow_agents.policies.baselines.desk import Desk, Rows
from streamflow_agents.policies.baselines.expert import ExpertSettings, make_expert
from streamflow_agents.policies.baselines.parts import Part
from streamflow_agents.policies.baselines.predictive import Predictive, PredictiveSettings, total
from streamflow_agents.policies.baselines.runbook import Rule, Runbook
from streamflow_env.environment.observations import ObservationTable
from streamflow_env.environment.sequential_sum import sequential_sum
from streamflow_env.errors import ConfigError
from streamflow_env.paths import config_path
from streamflow_env.system import load_system
from streamflow_env.system.schema import load
from tests.agents.policies.part_alone import PartAlone

SYSTEM = load_system()
TABLE = ObservationTable(SYSTEM)
AUTH_WORKERS = dict(SYSTEM.pools())["auth"].workers_per_replica
CALM = {
    **dict.fromkeys(TABLE.names, 0.0),
    **{f"{name}.ready_replicas": float(pool.replicas) for name, pool in SYSTEM.pools()},
    "time_of_day_h": 12.0,
    "announced.starts_in_s": 1800.0,
}


def predictive(**changes: Any) -> PartAlone[Predictive]:
    flat = {"beta": 2.0, "lead_s": 120.0, "trend_s": 60.0, "hold_s": 15.0, "curve": [[0, 1.0]], **changes}
    return PartAlone(SYSTEM, TABLE, lambda desk: Predictive(desk, load(PredictiveSettings, flat)))


def at_rate(rps: float, **more: float) -> dict[str, float]:
    """Readings at a rate of first attempts, of which half of auth's five replicas are busy."""
    return {**CALM, "feed.standard.attempt_rate_rps": rps, "auth.utilisation": 0.5, **more}


def auth_after(part: PartAlone[Predictive], *readings: dict[str, float]) -> float:
    part.begin()
    return [part.settings(each)["auth_replicas"] for each in readings][-1]


def test_square_root_staffing() -> None:
    load_now = 0.5 * 5 * AUTH_WORKERS
    expected = math.ceil((load_now + 2.0 * math.sqrt(load_now)) / AUTH_WORKERS)
    assert auth_after(predictive(), at_rate(30.0)) == expected


def test_a_fleet_is_sized_for_the_trend_the_curve_and_the_campaign() -> None:
    flat = auth_after(predictive(), *[at_rate(30.0)] * 4)
    rising = auth_after(predictive(), *[at_rate(rate) for rate in (20.0, 20.0, 30.0, 30.0)])
    steep = predictive(curve=[[0, 1.0], [12, 1.0], [12.5, 9.0]])
    announced = {"announced.starts_in_s": 100.0, "announced.expected_rps": 30.0}
    too_early = {"announced.starts_in_s": 200.0, "announced.expected_rps": 30.0}
    assert rising > flat
    assert auth_after(steep, at_rate(30.0)) > flat
    assert auth_after(predictive(), at_rate(30.0, **announced)) > flat
    assert auth_after(predictive(), at_rate(30.0, **too_early)) == flat


def test_a_total_is_the_same_bits_in_every_batch() -> None:
    """Sums of one cell alone are where NumPy would add in another order."""
    rates = np.random.default_rng(0).random((40, 50))
    chosen = rates > 0.2
    together = total(rates, chosen)
    for cell in range(50):
        alone = total(rates[:, [cell]], chosen[:, [cell]])
        assert together[cell] == alone[0] == sequential_sum(rates[chosen[:, cell], cell].tolist())


def test_cpu_is_a_resource_of_its_own() -> None:
    busy = at_rate(30.0, **{"engine.cpu_utilisation": 1.0, "engine.utilisation": 0.01})
    found = [part.settings(busy)["engine_replicas"] for part in (predictive(), predictive(cpu=True))]
    replicas = CALM["engine.ready_replicas"]
    assert found == [1.0, math.ceil(replicas + 2.0 * math.sqrt(replicas))]


def test_users_retries_are_no_load_to_expect() -> None:
    doubled = [at_rate(30.0), at_rate(30.0), at_rate(60.0, **{"users.retry_fraction": 0.5})] * 2
    assert auth_after(predictive(), *doubled[:3]) == auth_after(predictive(), *[at_rate(30.0)] * 3)


def test_admission_cuts_what_was_let_in_and_grows_back_slowly() -> None:
    config = AdmissionSettings(
        control="gateway_rate_limit", watched=("auth",), target_s=0.1, decrease=0.25, increase=0.1, lowest_rps=30.0
    )
    part = PartAlone(SYSTEM, TABLE, lambda desk: Admission(desk, config))
    arriving = {**CALM, "gateway.arrival_rate_rps": 80.0, "auth.arrival_rate_rps": 80.0}
    queues = (0.0, 40.0, 40.0, 0.0)
    limits = [part.settings({**arriving, "auth.queue_length": queue})["gateway_rate_limit"] for queue in queues]
    assert limits == pytest.approx([400.0, 60.0, 45.0, 49.5])


def test_admission_of_another_control_is_an_error() -> None:
    config = AdmissionSettings(
        control="llm_ask", watched=("auth",), target_s=0.1, decrease=0.25, increase=0.1, lowest_rps=30.0
    )
    with pytest.raises(ConfigError, match="llm_ask"):
        Admission(Desk(SYSTEM, TABLE), config)


def rule(**changes: Any) -> Rule:
    sign = {"reading": "llm.rate_limited_fraction", "above": 0.1}
    return load(Rule, {"name": "short", "signs": [sign], "hold_s": 30.0, "set": {"llm_ask": 0.2}, **changes})


def held(rules: tuple[Rule, ...], control: str, *readings: dict[str, float]) -> list[float]:
    part = PartAlone(SYSTEM, TABLE, lambda desk: Runbook(desk, rules))
    return [part.settings({**CALM, **each})[control] for each in readings]


def test_a_rule_holds_for_a_while_after_its_sign() -> None:
    sign = {"llm.rate_limited_fraction": 0.5}
    assert held((rule(),), "llm_ask", {}, sign, {}, {}, {}) == [1.0, 0.2, 0.2, 0.2, 1.0]


def test_at_least_at_most_and_the_later_rule() -> None:
    sign = {"llm.rate_limited_fraction": 0.5}
    more = rule(name="more", set={}, at_least={"auth_replicas": 9}, at_most={"llm_ask": 0.1})
    assert held((rule(), more), "llm_ask", sign) == [0.1]
    assert held((more,), "auth_replicas", sign) == [9.0]
    assert held((more, rule()), "llm_ask", sign) == [0.2]


def test_a_sign_may_be_relative_to_what_is_usual() -> None:
    slower = rule(signs=[{"reading": "auth.p95_s", "above_usual": 1.2}], hold_s=0.0)
    readings = [{"auth.p95_s": value} for value in (0.1, 0.1, 0.11, 0.13)]
    assert held((slower,), "llm_ask", *readings) == [1.0, 1.0, 1.0, 0.2]


@pytest.mark.parametrize(
    ("changes", "culprit"),
    [
        ({"signs": [{"reading": "nosuch.reading", "above": 1}]}, "nosuch"),
        ({"set": {"llm_aks": 0.1}}, "llm_aks"),
        ({"set": {"llm_ask": 1.5}}, "llm_ask"),
        ({"signs": [{"reading": "auth.p95_s"}]}, "auth.p95_s"),
        ({"signs": [{"reading": "auth.p95_s", "above": 1, "below": 2}]}, "auth.p95_s"),
        ({"hold_s": -1.0}, "hold_s"),
    ],
)
def test_a_wrong_rule_is_an_error(changes: dict[str, Any], culprit: str) -> None:
    with pytest.raises(ConfigError, match=culprit):
        Runbook(Desk(SYSTEM, TABLE), (rule(**changes),))


def test_two_rules_of_one_name_are_an_error_where_their_numbers_differ() -> None:
    with pytest.raises(ConfigError, match=r"rules/short/hold_s: given twice, as 30.0 and as 60.0"):
        Runbook(Desk(SYSTEM, TABLE), (rule(), rule(hold_s=60.0)))


def test_the_experts_parts_can_be_left_out_by_name() -> None:
    settings = load(ExpertSettings, config_path("baselines", "expert"))
    names = [rule.name for rule in settings.rules]
    fewer = settings.without(["hpa", names[0]])
    assert fewer.hpa is None
    assert [rule.name for rule in fewer.rules] == names[1:]
    with pytest.raises(ConfigError, match="nosuch"):
        settings.without(["nosuch"])
    assert len(make_expert(SYSTEM, TABLE, fewer).parts) == len(make_expert(SYSTEM, TABLE, settings).parts) - 1


def test_a_baseline_keeps_controls_in_their_range() -> None:
    class Wild(Part[None]):
        def begin(self, num_cells: int) -> None:
            return None

        def adjust(self, settings: Rows, readings: Rows, numbers: Rows, memory: None) -> None:
            settings[index] = 1e6

    index = SYSTEM.control_table.names.index("auth_replicas")
    action, _ = Baseline(SYSTEM, TABLE, {}, lambda desk: [Wild()]).predict(np.zeros(TABLE.size, np.float32))
    assert SYSTEM.control_table.natural(action)[index] == SYSTEM.controls[index].high


def test_an_expert_without_a_part_is_a_baseline_by_name() -> None:
    whole, fewer = (make_baseline(name, SYSTEM, TABLE) for name in ("expert", "expert~hpa"))
    assert len(fewer.parts) == len(whole.parts) - 1
    assert not is_baseline("hpa~hpa")
    assert each_without("expert")[:2] == ("expert~predictive", "expert~hpa")
    assert all(is_baseline(name) for name in each_without("tuned_expert"))
    with pytest.raises(ConfigError, match="must be one of expert, adaptive_expert, tuned_expert"):
        each_without("hpa")
    with pytest.raises(ConfigError, match="nosuch"):
        make_baseline("expert~nosuch", SYSTEM, TABLE)
