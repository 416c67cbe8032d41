"""The clairvoyant: what its search foresees, finds and keeps, and how a schedule acts."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from streamflow_agents.evaluation.episodes import RETURN, run_episode
from streamflow_agents.policies.baselines import is_baseline
from streamflow_agents.policies.loading import load_policy
from streamflow_agents.policies.protocol import SinglePolicy
from streamflow_agents.seeds import CHOICE_NOISE, SCORING_NOISE, SEARCH_NOISE
from streamflow_env.errors import ConfigError
from streamflow_env.scenarios import Foreseen, Timeline, load_scenario
from streamflow_env.system import load_system
from streamflow_env.system.schema import load
from studies.clairvoyant.cells import EpisodeCells
from studies.clairvoyant.plan import ClairvoyantPlan, Wanted, load_clairvoyant_plan
from studies.clairvoyant.report import convergence, draw_convergence
from studies.clairvoyant.run import quick_plan
from studies.clairvoyant.schedule import (
    BEST_FIXED,
    DOUBLED,
    FoundSchedule,
    ScheduledPolicy,
    foreseen_episode,
    load_base,
    read_schedules,
)
from studies.clairvoyant.search import search, search_all
from studies.common.study import kept

SHORT = {
    "name": "short",
    "horizon_s": 90,
    "traffic": {"kind": "ramps", "start_hour": 12, "level": [1.0, 2.0], "ramps": []},
    "incidents": [
        {"kind": "slowdown", "service": "auth", "start_s": [20, 60], "duration_s": 10, "factor": [2, 3]},
        {
            "kind": "slowdown", "service": "auth", "start_s": [20, 60], "duration_s": 10, "factor": [2, 3],
            "precursor": {"lead_s": 10, "factor": 1.2},
        },
    ],
}  # fmt: skip


@pytest.fixture
def short(tmp_path: Path) -> str:
    path = tmp_path / "short.yaml"
    path.write_text(yaml.safe_dump(SHORT), encoding="utf-8")
    return str(path)


class StillPolicy(SinglePolicy):
    """A policy whose action is always 0; its state counts the steps."""

    def act(self, observation: Any, memory: Any) -> tuple[Any, Any]:
        return np.zeros(3, dtype=np.float32), (memory or 0) + 1


def schedule(offsets: list[list[float]], num_steps: int) -> list[list[float]]:
    policy, seen = ScheduledPolicy(StillPolicy(), np.array(offsets), steps=2.0), []
    state: Any = None
    for _ in range(num_steps):
        action, state = policy.predict(np.zeros(1, dtype=np.float32), state)
        seen.append(action.tolist())
    assert state[1] == num_steps
    return seen


def test_a_schedule_is_linear_between_its_points_and_stays_in_range() -> None:
    seen = schedule([[0.0, 0.0, 0.5], [1.0, 0.0, 0.5], [4.0, 0.0, 0.5]], 7)
    assert [row[0] for row in seen] == [0.0, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert {tuple(row[1:]) for row in seen} == {(0.0, 0.5)}


def test_a_schedule_of_one_point_is_constant() -> None:
    assert schedule([[0.25, 0.0, -2.0]], 3) == [[0.25, 0.0, -1.0]] * 3


def test_what_is_foreseen_stays_and_the_rest_is_drawn_anew() -> None:
    system, timeline = load_system(), load_scenario(SHORT)
    assert isinstance(timeline, Timeline)
    known, other = timeline.variation(system, 1, 1), timeline.variation(system, 1, 2)
    np.testing.assert_array_equal(known.rates_rps, other.rates_rps)
    assert known.seed == 1
    assert other.seed == 2
    same = set(known.changes) & set(other.changes)
    assert same
    assert same != set(known.changes)
    whole = timeline.episode(system, 1)
    assert (whole.seed, whole.changes, whole.marks) == (known.seed, known.changes, known.marks)


def test_the_best_fixed_setting_is_the_scenarios_own(short: str) -> None:
    env = foreseen_episode("normal", 1)
    observation, _ = env.reset(options={"episode_seed": 1})
    actions = [load_base("best_fixed", name, env).predict(observation)[0] for name in ("normal", "compound")]
    assert (actions[0] != actions[1]).any()
    with pytest.raises(ConfigError, match="has none for scenario"):
        load_base("best_fixed", short, env)


def test_a_mixture_is_refused() -> None:
    with pytest.raises(ConfigError, match="mixed: a mixture"):
        foreseen_episode("mixed", 1)


@pytest.mark.parametrize("base", ["expert", "best_fixed"])
def test_cells_side_by_side_return_what_single_cells_do(base: str) -> None:
    """Each with a schedule and a noise seed of its own."""
    env = foreseen_episode("normal", 1)
    offsets = np.random.default_rng(0).normal(0.0, 0.05, (2, 7, len(env.control_table)))
    assert isinstance(env.scenario, Foreseen)
    policy = load_base(base, "normal", env)
    rewards = EpisodeCells(env.scenario).rewards(ScheduledPolicy(policy, offsets, 40.0), [3, 4])
    assert rewards.shape == (240, 2)
    single = run_episode(ScheduledPolicy(policy, offsets[1], 40.0), env, 4)[RETURN]
    assert rewards[:, 1].sum() == pytest.approx(single, abs=1e-9)


def plan(short: str, **changes: Any) -> ClairvoyantPlan:
    content = load_clairvoyant_plan().model_dump() | {
        "levels": {"brief": {"scenarios": [short], "bases": ["playbook", "do_nothing", "soon"], "doubled": [short]}},
        "optional_bases": ["soon"], "episodes": 2, "segment_s": 45.0, "judging": 1, "scoring": 2,
    }  # fmt: skip
    content["ascent"] |= {"cells": 4, "iterations": 3}
    return load(ClairvoyantPlan, content | changes)


@pytest.mark.slow
def test_a_search_is_kept_and_not_repeated(short: str, tmp_path: Path) -> None:
    ours, folder = plan(short), tmp_path / "kept"
    found = search_all(ours, folder, jobs=1, progress=False)
    assert [(one.level, one.seed, len(one.gains)) for one in found] == [
        ("brief", 1_000_000, 3),
        ("brief", 1_000_001, 3),
    ]
    assert {np.shape(one.offsets) for one in found} == {(3, 27)}
    (doubled,) = read_schedules(folder / DOUBLED)
    assert (doubled.seed, len(doubled.gains)) == (1_000_000, 6)
    draw_convergence(found).savefig(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 5_000
    assert "of 2 episodes was the best" in " ".join(convergence(found))


def test_a_search_that_was_killed_goes_on(short: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it had kept is not searched again, and a half-written file is none."""
    ours, searched = plan(short), list[Wanted]()

    def stand_in(plan: ClairvoyantPlan, wanted: Wanted) -> FoundSchedule:
        if len(searched) == 1:
            raise KeyboardInterrupt
        searched.append(wanted)
        return FoundSchedule(wanted.level, short, wanted.seed, "playbook", 45.0, ("x",), ((0.0,),), "base", (0.0,))

    monkeypatch.setattr("studies.clairvoyant.search.search", stand_in)
    with pytest.raises(KeyboardInterrupt):
        search_all(ours, tmp_path, jobs=1, progress=False)
    (tmp_path / "short-1000001.partial").write_text('{"scen', encoding="utf-8")
    assert [one.seed for one in read_schedules(tmp_path)] == [1_000_000]
    before, searched = searched, list[Wanted]()
    with pytest.raises(KeyboardInterrupt):
        search_all(ours, tmp_path, jobs=1, progress=False)
    assert [one.seed for one in [*before, *searched]] == [1_000_000, 1_000_001]
    searched = list[Wanted]()
    search_all(ours, tmp_path, jobs=1, progress=False)
    assert [one.doubled for one in searched] == [True]


def test_every_choice_meets_noise_that_nothing_before_it_met(short: str, monkeypatch: pytest.MonkeyPatch) -> None:
    met: list[tuple[int, ...]] = []

    def rewards(cells: EpisodeCells, policy: Any, noise_seeds: list[int]) -> Any:
        met.append(tuple(noise_seeds))
        return np.random.default_rng(len(met)).normal(size=(6, len(noise_seeds)))

    monkeypatch.setattr(EpisodeCells, "rewards", rewards)
    ours = plan(short, judging=2)
    found = search(ours, ours.wanted[0])
    first, second = CHOICE_NOISE.seeds(2), CHOICE_NOISE.seeds(2, skip=2)
    climbing = [(seed,) * 6 for seed in SEARCH_NOISE.seeds(3)]
    assert met == [first, first, *climbing, second, second, second]
    assert not {*first, *second} & set(ours.scoring_noise_seeds)
    assert found.kept in ("base", "half", "whole")


def test_a_base_that_there_is_not_is_an_error_before_the_first_search(short: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="soon"):
        search_all(plan(short, optional_bases=[]), tmp_path, jobs=1, progress=False)


def test_a_level_s_doubled_episodes_are_of_its_scenarios(short: str) -> None:
    level = {"scenarios": "mixed", "bases": ["expert"], "doubled": ["varied-normal"]}
    with pytest.raises(ConfigError, match=r"doubled\.varied-normal: must be one of normal, peak-hour"):
        plan(short, levels={"calm": level})


def test_the_kept_schedules_are_those_of_the_plan() -> None:
    """If there are any: the search takes hours, and a new version of the environment begins without."""
    ours, folder = load_clairvoyant_plan(), kept("clairvoyant")
    for of, doubled in ((folder, False), (folder / DOUBLED, True)):
        found = {(one.level, one.scenario, one.seed) for one in read_schedules(of)}
        wanted = {(one.level, one.scenario, one.seed) for one in ours.wanted if one.doubled == doubled}
        assert found in (set(), wanted)


def test_the_plan_is_of_two_levels_and_doubles_two_episodes_of_each() -> None:
    ours = load_clairvoyant_plan()
    assert set(ours.levels["calm"].scenarios) == set(
        Counter(one.scenario for one in ours.wanted if one.level == "calm")
    )
    counts = Counter((one.level, one.doubled) for one in ours.wanted)
    assert counts["calm", False] == 3 * len(ours.levels["calm"].scenarios) == 21
    assert counts["varied", False] == 3 * len(ours.levels["varied"].scenarios)
    assert counts["calm", True] == counts["varied", True] == 2
    assert all(is_baseline(base) or base == BEST_FIXED for one in ours.wanted for base in one.bases)
    assert [one.doubled for one in quick_plan(ours).wanted] == [False, True]
    assert ours.scoring_noise_seeds == SCORING_NOISE.seeds(ours.scoring)


def test_a_kept_schedule_acts_on_top_of_its_base(short: str) -> None:
    env = foreseen_episode(short, 1)
    controls = env.control_table.names
    observation, _ = env.reset(options={"episode_seed": 1})
    base, _ = load_policy("playbook", env).predict(observation)
    column = controls.index("llm_ask")
    offsets = (tuple(0.25 if name == "llm_ask" else 0.0 for name in controls),)
    schedule = FoundSchedule("brief", short, 1, "playbook", 90.0, controls, offsets, "whole", ())
    action, _ = schedule.policy(env).predict(observation)
    assert action[column] == pytest.approx(base[column] + 0.25)
    assert np.delete(action, column).tolist() == np.delete(base, column).tolist()
    with pytest.raises(ConfigError, match="its controls are llm_ask, must be"):
        replace(schedule, controls=("llm_ask",)).policy(env)


@pytest.mark.parametrize(
    "text", ["{}", "[]", "not JSON", '{"offsets": [[1, 2]], "gains": [], "controls": ["llm_ask"]}']
)
def test_a_file_that_is_no_schedule_is_an_error(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"x\.json"):
        read_schedules(tmp_path)
