"""Cells that differ: their draws, what must not differ, and errors that name the culprit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from streamflow_env.cells import Cell, with_values
from streamflow_env.episode import Episode
from streamflow_env.errors import ConfigError
from streamflow_env.paths import config_names
from streamflow_env.scenarios import Timeline, load_scenario
from streamflow_env.system import ComputeStep, System, WorkerPool, load_system

CALM: dict[str, Any] = {"name": "calm", "horizon_s": 600, "traffic": {"kind": "ramps", "level": 1.0}}
SEEDS = range(200)
SYSTEM = load_system()
AUTH = "services.auth.service_time.mean_s"
QUOTA = "services.llm.quota_per_minute"
COMPUTE = "compute.engine.mean_s"


def scenario(cell: Any) -> Timeline:
    found = load_scenario({**CALM, "cell": cell})
    assert isinstance(found, Timeline)
    return found


def episode(cell: Any, seed: int = 0) -> Episode:
    return scenario(cell).episode(SYSTEM, seed)


def auth_s(system: System | None) -> float:
    assert system is not None
    auth = system.services["auth"]
    assert isinstance(auth, WorkerPool)
    return auth.service_time.mean_s


def test_without_a_cell_the_system_is_the_environments() -> None:
    found = load_scenario(CALM).episode(SYSTEM, 0)
    assert found.system is None
    assert (found.price_factors, found.delay_intervals, found.noise_fraction) == ((1.0, 1.0, 1.0), 0, 0.0)
    assert episode({"prices": {"llm": 2.0}}).system is None


def test_a_factor_is_log_uniform_and_a_value_uniform_and_whole() -> None:
    cell = {"system": {AUTH: {"factor": [0.5, 2.0]}, QUOTA: {"value": [300, 309]}}}
    systems = [episode(cell, seed).system for seed in SEEDS]
    factors = np.array([auth_s(system) for system in systems]) / auth_s(SYSTEM)
    assert 0.5 <= factors.min() < 0.6
    assert 1.7 < factors.max() <= 2.0
    assert abs(np.log(factors).mean()) < 0.1
    quotas = [getattr(system.services["llm"], "quota_per_minute") for system in systems if system]  # noqa: B009
    assert {type(quota) for quota in quotas} == {int}
    assert set(quotas) == set(range(300, 310))


def test_a_factor_of_a_whole_number_is_rounded() -> None:
    system = episode({"system": {"services.profile_db.connections": {"factor": 1.3}}}).system
    assert system is not None
    assert getattr(system.services["profile_db"], "connections") == 5  # noqa: B009 - 5.2


def test_a_draw_depends_on_the_seed_and_its_name_alone() -> None:
    lines = {AUTH: {"factor": [0.5, 2.0]}, QUOTA: {"value": [300, 700]}, "users.deadline_s": {"value": [3, 7]}}
    backwards = dict(reversed(lines.items()))
    alone = {AUTH: lines[AUTH]}
    first = episode({"system": lines}, 3)
    assert first.system == episode({"system": backwards, "prices": {"llm": [0.5, 2]}}, 3).system
    assert auth_s(first.system) == auth_s(episode({"system": alone}, 3).system)
    assert auth_s(first.system) != auth_s(episode({"system": alone}, 4).system)


def test_the_luck_and_the_load_are_those_without_a_cell() -> None:
    usual, own = load_scenario(CALM).episode(SYSTEM, 5), episode({"system": {AUTH: {"factor": 2.0}}}, 5)
    np.testing.assert_array_equal(usual.rates_rps, own.rates_rps)
    assert usual.seed == own.seed
    double = episode({"system": {"classes.feed.normal_rate_rps": {"factor": 2.0}}}, 5)
    np.testing.assert_allclose(double.rates_rps[0], 2 * usual.rates_rps[0])
    np.testing.assert_array_equal(double.rates_rps[1:], usual.rates_rps[1:])


def test_the_cell_of_a_variation_is_that_of_the_seed() -> None:
    timeline = scenario({"system": {AUTH: {"factor": [0.5, 2.0]}}, "prices": {"llm": [0.5, 2.0]}})
    one, other = timeline.variation(SYSTEM, 1, 2), timeline.variation(SYSTEM, 1, 3)
    assert one.system == other.system == timeline.episode(SYSTEM, 1).system
    assert one.price_factors == other.price_factors


def test_the_compute_of_a_pool_can_differ() -> None:
    system = episode({"system": {COMPUTE: {"factor": 1.5}}}).system
    assert system is not None
    expected = SYSTEM.model_dump()
    engine = expected["classes"]["feed"]["plan"][1]["on_miss"][1]
    assert engine["call"] == "engine"
    step = engine["holding"][2]
    step["compute"]["mean_s"] *= 1.5
    assert isinstance(ComputeStep.model_validate(step), ComputeStep)
    assert system == load_system(expected)
    both = with_values(SYSTEM, {COMPUTE: 0.1, "classes.feed.normal_rate_rps": 20.0})
    assert both.classes["feed"].normal_rate_rps == 20.0
    assert both.classes["feed"].plan != SYSTEM.classes["feed"].plan


def test_prices_and_telemetry_are_drawn_from_their_ranges() -> None:
    cell = {"prices": {"memory": [0.5, 2.0]}, "telemetry": {"delay_intervals": [0, 2], "noise_fraction": [0.0, 0.1]}}
    episodes = [episode(cell, seed) for seed in SEEDS]
    assert {(e.price_factors[0], e.price_factors[2]) for e in episodes} == {(1.0, 1.0)}
    memory = np.array([e.price_factors[1] for e in episodes])
    assert 0.5 <= memory.min() < 0.6
    assert 1.7 < memory.max() <= 2.0
    assert {e.delay_intervals for e in episodes} == {0, 1, 2}
    assert 0.0 <= min(e.noise_fraction for e in episodes) < max(e.noise_fraction for e in episodes) <= 0.1


@pytest.mark.parametrize("name", config_names("cells"))
def test_the_shipped_cells(name: str) -> None:
    cell = scenario(name).cell
    assert isinstance(cell, Cell)
    assert cell.name == name
    assert cell.meaning != "no description"
    cell.check(SYSTEM)
    for seed in range(20):
        system = episode(name, seed).system
        assert system is not None
        np.testing.assert_array_equal(system.control_table.default, SYSTEM.control_table.default)
        assert (system.controls, system.sla) == (SYSTEM.controls, SYSTEM.sla)


def test_storm_goes_further_than_varied() -> None:
    varied, storm = (scenario(name).cell for name in ("varied", "storm"))
    assert varied is not None
    assert storm is not None
    assert list(varied.system) == list(storm.system)
    for path, variation in varied.system.items():
        wider = storm.system[path]
        assert type(wider) is type(variation)
        low, high = next(iter(dict(variation).values()))
        lowest, highest = next(iter(dict(wider).values()))
        assert lowest < low < high < highest


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ({"system": {"services.auth.replicas": {"factor": [0.5, 2]}}}, ["services.auth.replicas", "auth_replicas"]),
        ({"system": {"services.cache.ttl_s": {"value": 100}}}, ["services.cache.ttl_s", "control cache_ttl"]),
        ({"system": {"calls.engine_llm.ask_fraction": {"value": 0.5}}}, ["llm_ask"]),
        ({"system": {"calls.engine_llm.breaker.threshold_fraction": {"value": 0.5}}}, ["breaker.threshold_fraction"]),
        ({"system": {"services.auht.replicas": {"factor": 2}}}, ["services.auht.replicas", "has no 'auht'", "auth"]),
        ({"system": {"users.patience_s": {"factor": 2}}}, ["users has no 'patience_s'", "deadline_s"]),
        ({"system": {"services.auth.service_time": {"factor": 2}}}, ["services.auth.service_time", "of a number"]),
        ({"system": {"services.auth.serves_abandoned": {"factor": 2}}}, ["must be the path of a number"]),
        ({"system": {"sla.target_s": {"factor": 2}}}, ["sla.target_s", "must begin with one of services"]),
        ({"system": {"compute.auth.mean_s": {"factor": 2}}}, ["compute.auth.mean_s", "no plan has a compute step"]),
        ({"system": {"compute.engine": {"factor": 2}}}, ["compute.engine", "must be compute.POOL.mean_s"]),
        ({"system": {"services.auth.price_per_replica_hour": {"factor": 2}}}, ["prices are varied by `prices`"]),
        ({"system": {"services.engine.service_time.mean_s": {"factor": 2}}}, ["is 0, which a factor leaves"]),
        (
            {"system": {"users.retry_fraction": {"value": [0.5, 1.2]}}},
            ["retry_fraction = 1.2", "less than or equal to 1"],
        ),
        (
            {"system": {"services.vector_db.base_latency_s": {"value": [0.1, 2]}}},
            ["must be at least base_latency_s 2.0"],
        ),
        ({"system": {QUOTA: {"value": [300.2, 300.8]}}}, [QUOTA, "must hold a whole number"]),
        ({"system": {QUOTA: {"factor": [0, 2]}}}, [QUOTA, "must be a number in [0.001, 1000]"]),
        ({"system": {QUOTA: {"value": [700, 300]}}}, [QUOTA, "low <= high"]),
        ({"system": {QUOTA: [300, 700]}}, [QUOTA, "must have the key factor or value"]),
        ({"prices": {"disk": 2.0}}, ["cell.prices.disk", "unknown key"]),
        ({"telemetry": {"delay_intervals": [0, 1.5]}}, ["delay_intervals", "whole number in [0, 1000]"]),
        ({"telemetry": {"noise_fraction": 2}}, ["noise_fraction", "in [0, 1]"]),
        ("no-such-cell", ["cells 'no-such-cell'", "varied"]),
    ],
)
def test_errors_name_the_culprit(cell: Any, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        scenario(cell).check(SYSTEM)
    for word in words:
        assert word in str(caught.value)


def test_an_error_names_the_file(tmp_path: Any) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"name: mine\nsystem:\n  {AUTH}: {{factor: [-1, 2]}}\n")
    with pytest.raises(ConfigError, match=r"mine\.yaml: .*factor"):
        scenario(str(path))
    path.write_text("name: mine\nsystem:\n  services.auth.replicas: {factor: [1, 2]}\n")
    with pytest.raises(ConfigError, match=r"mine\.yaml: line 3: system\.services\.auth\.replicas: must not differ"):
        scenario(str(path)).check(SYSTEM)


def test_a_mixtures_cell_replaces_that_of_its_members() -> None:
    cell = {"system": {AUTH: {"factor": 2.0}}}
    mixture = load_scenario({"name": "both", "members": {"normal": 1, "varied-normal": 1}, "cell": cell})
    for seed in range(10):
        own = mixture.episode(SYSTEM, seed).system
        assert auth_s(own) == pytest.approx(2 * auth_s(SYSTEM))
        assert own is not None
        assert own.users == SYSTEM.users


@pytest.mark.parametrize("name", ["varied-compound", "storm"])
def test_a_scenario_with_a_cell_can_be_written_down_and_read_again(name: str) -> None:
    first = load_scenario(name)
    again = load_scenario(first.model_dump(mode="json"))
    a, b = first.episode(SYSTEM, 3), again.episode(SYSTEM, 3)
    assert (a.system, a.price_factors, a.changes) == (b.system, b.price_factors, b.changes)
