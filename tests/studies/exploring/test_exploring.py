"""The study on made-up figures: what is perturbed, what a cost is, and what the page says. One minute is simulated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from streamflow_agents.evaluation.episodes import RETURN, TERM
from streamflow_agents.seeds import EXPLORING
from streamflow_env.errors import ConfigError
from streamflow_env.paths import config_path
from streamflow_env.system import load_system
from streamflow_env.system.schema import parse, read_yaml
from studies.common.study import Outputs
from studies.exploring.measure import Batch, Row, play
from studies.exploring.perturbations import BASE, STEP_DOWN, STEP_UP, noise_of, offsets, perturbations, variants
from studies.exploring.plan import Flag, Plan, Reading, read_plan, read_reading
from studies.exploring.report import PNG, cost_text, is_dear, payers, redraw
from studies.exploring.results import Costs, read_results, write_results

SYSTEM = load_system("streamflow")
SHORT = {
    "name": "short",
    "horizon_s": 120,
    "traffic": {"kind": "ramps", "start_hour": 12, "level": [1.0, 2.0], "ramps": []},
}


def plan(**changes: object) -> Plan:
    """A small plan: two controls, two amplitudes, and a step of half a minute."""
    content = read_plan().model_dump() | {"num_seeds": 3, "noise": (0.03, 0.1), "controls": ("llm_ask", "cache_memory")}
    content |= {"scenarios": ("normal", "storm"), "step": {"amplitude": 0.3, "start_s": 30, "duration_s": 30}}
    return parse(Plan, content | changes, "plan")


# What is perturbed


def test_the_scenarios_are_those_of_the_mixture() -> None:
    assert set(read_plan().scenarios) == set(read_yaml(config_path("scenarios", "mixed"))["members"])


def test_the_episodes_are_the_study_s_own() -> None:
    assert all(seed in EXPLORING for seed in read_plan().seeds)


def test_every_control_has_the_base_for_company_and_every_perturbation() -> None:
    labels = [variant.label for variant in variants(plan())]
    assert labels == [BASE] + [
        f"{control} {name}"
        for control in ("llm_ask", "cache_memory")
        for name in ("noise 0.03", "noise 0.1", "step up", "step down")
    ]


def test_a_plan_without_controls_has_all_of_the_system() -> None:
    assert plan(controls=()).with_controls_of(SYSTEM).controls == SYSTEM.control_table.names
    with pytest.raises(ConfigError, match="unknown control 'warp_drive'"):
        plan(controls=("warp_drive",)).with_controls_of(SYSTEM)


def test_noise_is_a_function_of_seed_and_control() -> None:
    noise = noise_of(7, "llm_ask", 20_000)
    assert np.array_equal(noise, noise_of(7, "llm_ask", 20_000))
    assert np.array_equal(noise[:5], noise_of(7, "llm_ask", 5))
    others = (noise_of(8, "llm_ask", 20_000), noise_of(7, "cache_ttl", 20_000), np.roll(noise, 1))
    assert all(abs(np.corrcoef(noise, other)[0, 1]) < 0.03 for other in others)
    assert (noise.mean(), noise.std()) == (pytest.approx(0.0, abs=0.03), pytest.approx(1.0, abs=0.03))


def test_what_is_added_to_a_control() -> None:
    found = {
        v.perturbation.name: offsets(v, plan().step, 7, 8, 15.0) for v in variants(plan()) if v.control != "llm_ask"
    }
    assert not found[BASE].any()
    assert found["step up"].tolist() == [0.0, 0.0, 0.3, 0.3, 0.0, 0.0, 0.0, 0.0]
    assert found["step down"].tolist() == (-found["step up"]).tolist()
    assert found["noise 0.1"] == pytest.approx(0.1 * noise_of(7, "cache_memory", 8))
    assert found["noise 0.03"] == pytest.approx(0.3 * found["noise 0.1"])


# What a cost is


def rows() -> list[Row]:
    """`llm_ask` costs 0.1 (normal) and 2 (storm, luck from -1 to 1 aside); all else costs nothing."""
    found: list[Row] = []
    for scenario, cost in (("normal", 0.1), ("storm", 2.0)):
        for seed, luck in zip(plan().seeds, (-1.0, 0.0, 1.0), strict=True):
            for variant in variants(plan()):
                paid = (cost + (0.1 * luck if scenario == "storm" else 0.0)) * (variant.control == "llm_ask")
                terms = {"late": -10.0 + 5.0 * luck - 1.5 * paid, "quality": -3.0 + 0.5 * paid}
                keys: Row = {"policy": variant.label, "scenario": scenario, "episode_seed": seed}
                found.append(
                    keys | {RETURN: sum(terms.values())} | {TERM + name: value for name, value in terms.items()}
                )
    return found


@pytest.fixture
def costs(tmp_path: Path) -> Costs:
    write_results(tmp_path / "data", rows(), plan(), 90.0)
    return read_results(tmp_path / "data")[0]


def test_a_cost_is_paired_by_episode(costs: Costs) -> None:
    normal, storm = costs.by_scenario("llm_ask", "noise 0.03")
    assert (normal.value, normal.low, normal.high) == pytest.approx((0.1, 0.1, 0.1), abs=1e-5)
    assert storm.value == pytest.approx(2.0, abs=1e-5)
    assert 1.9 - 1e-5 <= storm.low < 2.0 < storm.high <= 2.1 + 1e-5, "what both episodes share is not in the interval"
    assert [cost.value for cost in costs.by_scenario("cache_memory", STEP_UP)] == pytest.approx([0.0, 0.0])
    assert costs.base_return("normal") == pytest.approx(-13.0)


def test_the_terms_add_up_to_the_return(costs: Costs) -> None:
    by_term = costs.by_term("llm_ask", STEP_DOWN, "storm")
    assert by_term == pytest.approx({"late": 3.0, "quality": -1.0}, abs=1e-5)
    assert sum(by_term.values()) == pytest.approx(costs.by_scenario("llm_ask", STEP_DOWN)[1].value, abs=1e-5)


def test_where_it_costs_most(costs: Costs) -> None:
    worst = costs.worst("llm_ask", "noise 0.1")
    assert worst.scenario == "storm"
    assert worst.cost.value == pytest.approx(2.0, abs=1e-5)
    assert payers(worst, 0.3) == "storm: late +3.00, quality -1.00"
    assert payers(costs.worst("cache_memory", "noise 0.1"), 0.3) == "–"


def test_small_costs_have_no_interval(costs: Costs) -> None:
    normal, storm = costs.by_scenario("llm_ask", "noise 0.03")
    assert cost_text(normal, 0.3) == "0.10"
    assert cost_text(storm, 0.3).startswith("**2.00** [1.9")


# What the page says


def reading(**changes: object) -> Reading:
    return read_reading().model_copy(update=changes)


def test_every_control_of_the_shipped_system_has_a_sentence() -> None:
    read_reading().check(SYSTEM.controls)


def test_a_control_without_a_sentence_is_an_error() -> None:
    physics = {name: text for name, text in read_reading().physics.items() if name != "ttl_s"}
    with pytest.raises(ConfigError, match="no sentence for 'ttl_s', the parameter of control 'cache_ttl'"):
        reading(physics=physics).check(SYSTEM.controls)
    with pytest.raises(ConfigError, match=r"physics\.warp: no such parameter"):
        reading(physics={**physics, "warp": "?"}).check([])


def test_the_flag_is_of_its_noise(costs: Costs) -> None:
    assert is_dear(costs, "llm_ask", reading(flag=Flag(noise=0.03, cost=1.9)))
    assert not is_dear(costs, "llm_ask", reading(flag=Flag(noise=0.03, cost=2.1)))
    assert not is_dear(costs, "cache_memory", reading(flag=Flag(noise=0.1, cost=0.1)))


def test_the_page_is_written_from_what_was_kept(tmp_path: Path) -> None:
    to = Outputs(tmp_path / "data", tmp_path / "exploring.md")
    write_results(to.data, rows(), plan(), 90.0)
    redraw(to, SYSTEM, reading())
    text = to.page.read_text(encoding="utf-8")
    assert "Dear, of 2 controls: `llm_ask`." in text
    assert "| storm 2.0 |" in text
    assert read_reading().physics["ask_fraction"].strip() in text
    assert text.count("| `cache_memory` |") == 1 + len(perturbations(plan()))
    assert (to.pictures / PNG).stat().st_size > 10_000
    with pytest.raises(ConfigError, match="no sentence"):
        redraw(to, SYSTEM, reading(physics={}))


# What is simulated


def test_an_episode_and_its_perturbations_side_by_side(tmp_path: Path) -> None:
    short = tmp_path / "short.yaml"
    short.write_text(yaml.safe_dump(SHORT), encoding="utf-8")
    small = plan(scenarios=(str(short),), noise=(1e-10, 0.3))
    both = play(Batch(small, str(short), small.seeds[:2], variants(small), num_threads=2))
    alone = play(Batch(small, str(short), small.seeds[1:2], variants(small)))
    assert alone == both[len(both) // 2 :], "an episode depends on its own seed alone"
    for row in both:
        terms = [value for name, value in row.items() if name.startswith(TERM)]
        assert row[RETURN] == pytest.approx(sum(terms))
    by_label = {row["policy"]: figures(row) for row in alone}
    assert by_label[f"llm_ask noise {1e-10:g}"] == pytest.approx(by_label[BASE], abs=1e-9)
    assert by_label["cache_memory step up"][TERM + "memory"] < by_label[BASE][TERM + "memory"]
    assert len({values[RETURN] for values in by_label.values()}) >= len(by_label) - 2


def test_a_step_that_outlasts_the_episode_is_an_error(tmp_path: Path) -> None:
    short = tmp_path / "short.yaml"
    short.write_text(yaml.safe_dump(SHORT), encoding="utf-8")
    long = plan(step={"amplitude": 0.3, "start_s": 90, "duration_s": 30})
    with pytest.raises(ConfigError, match="step: ends at 120 s, must be before 120 s"):
        play(Batch(long, str(short), long.seeds[:1], variants(long)))


def figures(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name == RETURN or name.startswith(TERM)}
