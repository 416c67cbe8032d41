"""The study on made-up figures: what is run, what is chosen, searched and said. Nothing is simulated but one minute."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml

from streamflow_agents.evaluation.episodes import RETURN, TERM, run_episode
from streamflow_agents.evaluation.statistics import Estimate
from streamflow_agents.parallel import Workers
from streamflow_agents.policies.baselines import make_baseline
from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.errors import ConfigError
from streamflow_env.paths import config_path
from streamflow_env.system import load_system
from streamflow_env.system.schema import parse, read_yaml
from studies.common.markdown import listed
from studies.common.study import Outputs
from studies.interventions import singles, statics, trials
from studies.interventions.bases import BASES, DO_NOTHING, PLAYBOOK, base_actions, with_settings
from studies.interventions.choices import Choice, choose, search_starts
from studies.interventions.numbers import natural, signed
from studies.interventions.plan import Plan, read_plan
from studies.interventions.report import LLM_CONTROLS_PNG, SWEEP_PNG, redraw
from studies.interventions.results import Results, read_results, write_results
from studies.interventions.search import Search
from studies.interventions.simulation import ALWAYS, AUTOSCALED, BEST_OF, CROSS, DAY, NEVER, PEAK_SIZED, simulate
from studies.interventions.sweep import SWEEP, Point, held, resolve, sweep_trials
from studies.interventions.trials import FIGURES, PEAK, Outcome, Trial, TrialRunner, run_trial

SYSTEM = load_system("streamflow")
TABLE = SYSTEM.control_table
ACTIONS = base_actions(SYSTEM)
SCENARIOS = ("normal", "retry-storm")


def plan(**changes: object) -> Plan:
    """The shipped plan, but small."""
    content = read_plan().model_dump() | {"scenarios": SCENARIOS, "positions": (-1.0, 0.0, 1.0), "sweep_seeds": (0, 1)}
    content |= {"num_held_out_seeds": 3, "num_days": 2, "llm_control_seeds": 1}
    content["search"] |= {"generations": 4, "seeds": (5,)}
    return parse(Plan, content | changes, "plan")


class FakeTrialRunner(TrialRunner):
    """Episodes by formula: the return is best with `llm_ask` at 0.5 and, in the retry storm, many Auth replicas."""

    def __init__(self) -> None:
        super().__init__(Workers(jobs=1))
        self.trials: list[Trial] = []

    def run(self, trials: Sequence[Trial], title: str = "") -> list[Outcome]:
        self.trials += trials
        return [Outcome(t.part, t.setting, t.scenario, t.seed, self.figures(t)) for t in trials]

    def figures(self, trial: Trial) -> dict[str, float]:
        action = ACTIONS[PLAYBOOK] if isinstance(trial.policy, str) else trial.policy
        ask, auth = (action[TABLE.names.index(name)] for name in ("llm_ask", "auth_replicas"))
        value = (
            -60.0 - 20 * abs(ask) - 5 * auth + (30 * auth if trial.scenario == "retry-storm" else 0) - trial.seed % 7
        )
        figures = dict.fromkeys(FIGURES, 0.5) | {RETURN: value, TERM + "late": value}
        if isinstance(trial.policy, str):
            figures |= {PEAK + c.name: 3.0 for c in SYSTEM.controls if c.parameter == "replicas"}
        return figures


def test_the_shipped_plan_names_what_there_is() -> None:
    shipped = read_plan()
    shipped.check(SYSTEM)
    assert len(shipped.interventions) == 7
    assert min(shipped.held_out_seeds) > max(*shipped.sweep_seeds, *shipped.search.seeds)


@pytest.mark.parametrize("key", ["interventions", "companions"])
def test_an_unknown_control_is_an_error(key: str) -> None:
    wrong = {"read replicas": ("reed_replicas",)} if key == "interventions" else {"reed_replicas": {"llm_ask": 0.0}}
    with pytest.raises(ConfigError, match=rf"{key}.*reed_replicas"):
        plan(**{key: wrong}).check(SYSTEM)


def test_a_sweep_runs_no_setting_twice() -> None:
    trials = sweep_trials("do_nothing", {"normal": ACTIONS[DO_NOTHING]}, TABLE.names, (-1, -0.5, 0, 0.5, 1), [0], TABLE)
    settings = [tuple(TABLE.natural(np.array(trial.policy))) for trial in trials]
    assert len(set(settings)) == len(settings)
    assert len({trial.setting for trial in trials}) == len(trials)
    assert all(isinstance(trial.policy, tuple) for trial in trials)


def test_a_position_that_was_not_run_is_found_under_what_it_is_the_same_as() -> None:
    base = ACTIONS[DO_NOTHING]
    default = Point("do_nothing", "llm_ask", 1.0)
    assert resolve(default, (-1, 1), base, TABLE) == "do_nothing"
    low = Point("do_nothing", "llm_ask", -1.0)
    assert resolve(low, (-1, 1), base, TABLE) == low.name
    same = Point("do_nothing", "auth_replicas", -0.99)
    assert resolve(same, (-1, -0.99), base, TABLE) == "do_nothing auth_replicas -1.00"
    assert held("auth_replicas", same.action(base, TABLE), TABLE) == 1


def test_the_search_finds_an_optimum_within_and_one_at_an_end() -> None:
    goal = np.linspace(-1.0, 1.0, len(TABLE))

    def searched() -> Search:
        ours = plan().search.model_copy(update={"generations": 40})
        search = Search([ACTIONS[DO_NOTHING]], TABLE, ours, stream=0)
        for _ in range(ours.generations):
            search.tell([-float(np.abs(np.array(action) - goal).sum()) for action in search.ask()])
        return search

    search = searched()
    assert search.history == sorted(search.history)
    assert search.score > 0.4 * search.history[0]
    assert search.best == searched().best


def test_results_come_back_from_their_files(tmp_path: Path) -> None:
    outcomes, found = simulate(plan(), SYSTEM, FakeTrialRunner())
    write_results(tmp_path / "raw", outcomes, found, plan())
    results, again, ours = read_results(tmp_path / "raw")
    assert (again, ours) == (found, plan())
    for o in outcomes:
        assert results.samples(o.part, o.setting, o.scenario)[0] == pytest.approx(
            Results(outcomes).samples(o.part, o.setting, o.scenario)[0]
        )
    with pytest.raises(ConfigError, match="no episode of setting 'nothing'"):
        results.samples(SWEEP, "nothing", "normal")
    with pytest.raises(ConfigError, match="run the study first"):
        read_results(tmp_path)


def test_the_story_from_sweep_to_page(tmp_path: Path) -> None:
    """The best of the made-up formula is found, and the page says so; drawn anew it is the same."""
    runner, ours = FakeTrialRunner(), plan()
    outcomes, found = simulate(ours, SYSTEM, runner)
    ask, auth = (TABLE.names.index(name) for name in ("llm_ask", "auth_replicas"))
    assert abs(found.best["normal"][ask]) < 0.1
    assert (found.best["normal"][auth], found.best["retry-storm"][auth]) == (-1.0, 1.0)
    seeds = {part: {t.seed for t in runner.trials if t.part == part} for part in ("search", CROSS, DAY)}
    assert not seeds["search"] & seeds[CROSS]
    assert {t.setting for t in runner.trials if t.part == DAY} == {AUTOSCALED, PLAYBOOK, PEAK_SIZED}
    to = Outputs(tmp_path / "data", tmp_path / "interventions.md")
    write_results(to.data, outcomes, dataclasses.replace(found, duration_s=120.0), ours)
    redraw(to, SYSTEM)
    text = to.page.read_text()
    assert "of the 7 help by themselves" in text
    assert "Neither shortcut wins anywhere." in text
    assert "each scenario's own setting is the best of them there" in text
    assert "Every control has a place within its axis that does as well as the ends" in text
    assert (to.pictures / SWEEP_PNG).stat().st_size > 10_000
    assert (to.pictures / LLM_CONTROLS_PNG).stat().st_size > 10_000
    redraw(to, SYSTEM)
    assert to.page.read_text() == text


def test_a_page_can_be_written_from_the_quick_plan(tmp_path: Path) -> None:
    quick = read_plan(quick=True)
    outcomes, found = simulate(quick, SYSTEM, FakeTrialRunner())
    to = Outputs(tmp_path / "data", tmp_path / "interventions.md")
    write_results(to.data, outcomes, found, quick)
    redraw(to, SYSTEM)
    assert all(f"| best of {scenario} |" in to.page.read_text() for scenario in quick.scenarios)


def test_what_the_sweep_chooses() -> None:
    outcomes, _ = simulate(ours := plan(), SYSTEM, FakeTrialRunner())
    chosen = {c.intervention: c.point for c in choose(Results(outcomes), DO_NOTHING, ACTIONS, ours, TABLE)}
    assert chosen["timeouts and fallbacks for the LLM"] == Point(DO_NOTHING, "llm_ask", 0.0)
    starts = search_starts(Results(outcomes), ACTIONS, ours, TABLE, "retry-storm")
    assert starts[: len(BASES)] == [ACTIONS[base] for base in BASES]
    assert starts[2][TABLE.names.index("auth_replicas")] == 1.0
    assert starts[2][TABLE.names.index("llm_ask")] == 0.0


def test_verdicts_are_read_off_the_intervals() -> None:
    point = Point(DO_NOTHING, "llm_ask", 0.0)
    helps, costs, nothing = Estimate(3.0, 1.0, 4.0), Estimate(-3.0, -4.0, -1.0), Estimate(0.1, -1.0, 1.0)
    choices = [Choice(name, point, "a") for name in ("queues", "caching", "replicas")]
    mixed, free, useless = (
        singles.Verdict(choice, gains)
        for choice, gains in zip(
            choices, ({"a": helps, "b": costs}, {"a": helps, "b": helps}, {"a": nothing, "b": nothing}), strict=True
        )
    )
    assert (mixed.helps_in, mixed.costs_in, mixed.dearest) == (["a"], ["b"], "b")
    text = "\n".join(singles._sentences([mixed, free, useless]))
    assert "2 of the 3 help by themselves in some scenario; in none replicas." in text
    assert "Everywhere helps caching." in text
    assert "costs return somewhere else: queues." in text
    assert "so far as 2 of them can tell: caching." in text


def test_a_shortcut_that_wins_is_called_one() -> None:
    outcomes = [
        Outcome(CROSS, name, "normal", seed, {RETURN: value - seed})
        for name, value in ((BEST_OF + "normal", -70.0), (NEVER, -60.0), (ALWAYS, -90.0))
        for seed in range(3)
    ]
    text = "\n".join(statics.shortcuts(Results(outcomes), plan(scenarios=("normal",))))
    assert "A shortcut that wins: best, never asks in normal." in text


def test_a_trial_is_the_episode_of_its_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "_ENVS", {})
    content = read_yaml(config_path("scenarios", "normal")) | {"name": "short", "horizon_s": 60}
    path = tmp_path / "short.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    env = StreamFlowEnv(path)
    expected = run_episode(make_baseline(PLAYBOOK, env.system, env.observation_table), env, 1)
    for policy in (ACTIONS[PLAYBOOK], PLAYBOOK):
        found = run_trial(Trial("part", "setting", str(path), 1, policy)).figures
        assert found[RETURN] == expected[RETURN]
        assert (PEAK + "auth_replicas" in found) == isinstance(policy, str)


def test_settings_beside_a_base() -> None:
    changed = with_settings(ACTIONS[DO_NOTHING], {"gateway_rate_limit": 63}, TABLE)
    assert held("gateway_rate_limit", changed, TABLE) == 63
    assert held("auth_replicas", changed, TABLE) == 5


def test_numbers_in_words() -> None:
    assert signed(Estimate(1.25, 0.5, 2.0)) == "+1.2 [+0.5, +2.0]"
    assert signed(Estimate(1.25, float("nan"), float("nan"))) == "+1.2"
    assert (natural(20000.4), natural(0.12345), natural(2.0)) == ("20000", "0.123", "2")
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
