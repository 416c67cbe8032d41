"""The clairvoyant: what its search foresees, finds and keeps, and how a schedule acts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from streamflow_agents.policies.loading import load_policy
from streamflow_agents.policies.protocol import SinglePolicy
from streamflow_agents.seeds import SCORING_NOISE
from streamflow_env.errors import ConfigError
from streamflow_env.scenarios import Timeline, load_scenario
from streamflow_env.system import load_system
from streamflow_env.system.schema import load
from studies.clairvoyant.plan import ClairvoyantPlan, load_clairvoyant_plan
from studies.clairvoyant.report import draw_convergence
from studies.clairvoyant.run import quick_plan
from studies.clairvoyant.schedule import (
    FoundSchedule,
    ScheduledPolicy,
    columns_of,
    foreseen_episode,
    load_base,
    read_schedules,
)
from studies.clairvoyant.search import search_all
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
    policy, seen = ScheduledPolicy(StillPolicy(), np.array([0, 2]), np.array(offsets), steps=2.0), []
    state: Any = None
    for _ in range(num_steps):
        action, state = policy.predict(np.zeros(1, dtype=np.float32), state)
        seen.append(action.tolist())
    assert state[1] == num_steps
    return seen


def test_a_schedule_is_linear_between_its_points_and_stays_in_range() -> None:
    seen = schedule([[0.0, 0.5], [1.0, 0.5], [4.0, 0.5]], 7)
    assert [row[0] for row in seen] == [0.0, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert {tuple(row[1:]) for row in seen} == {(0.0, 0.5)}


def test_a_schedule_of_one_point_is_constant() -> None:
    assert schedule([[0.25, -2.0]], 3) == [[0.25, 0.0, -1.0]] * 3


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


def test_a_mixture_is_refused_and_so_is_an_unknown_control(short: str) -> None:
    with pytest.raises(ConfigError, match="mixed: a mixture"):
        foreseen_episode("mixed", 1)
    with pytest.raises(ConfigError, match="control 'warp'"):
        columns_of(["warp"], foreseen_episode(short, 1))


def plan(short: str) -> ClairvoyantPlan:
    content = load_clairvoyant_plan().model_dump() | {
        "bases": ["playbook", "do_nothing"], "scenarios": [short], "episodes": 2,
        "controls": ["llm_ask", "auth_replicas"],
        "scenario": {"population": 4, "generations": 3, "first_step": 0.3}, "segment_s": 45.0, "judging": 1,
        "episode": {"population": 4, "generations": 2, "first_step": 0.1}, "scoring": 2,
    }  # fmt: skip
    return load(ClairvoyantPlan, content)


@pytest.mark.slow
def test_a_search_is_kept_and_not_repeated(short: str, tmp_path: Path) -> None:
    ours, folder = plan(short), tmp_path / "kept"
    found = search_all(ours, folder, jobs=1, progress=False)
    assert search_all(ours, folder, jobs=1, progress=False) == found
    assert [len(stage) for one in found for stage in one.gains] == [3, 2, 3, 2]
    assert {len(one.offsets) for one in found} == {3}
    draw_convergence(found).savefig(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 5_000


def test_the_kept_schedules_are_those_of_the_plan() -> None:
    """If there are any: the search takes hours, and a new version of the environment begins without."""
    ours, found = load_clairvoyant_plan(), read_schedules(kept("clairvoyant"))
    assert {(one.scenario, one.seed) for one in found} in (set(), set(ours.wanted))
    assert {one.controls for one in found} <= {ours.controls}


def test_a_quick_plan_is_of_one_episode_and_scoring_has_noise_seeds_of_its_own() -> None:
    ours = load_clairvoyant_plan()
    assert len(quick_plan(ours).wanted) == 1
    assert ours.scoring_noise_seeds == SCORING_NOISE.seeds(ours.scoring)


def test_a_kept_schedule_acts_on_top_of_its_base(short: str) -> None:
    env = foreseen_episode(short, 1)
    observation, _ = env.reset(options={"episode_seed": 1})
    base, _ = load_policy("playbook", env).predict(observation)
    schedule = FoundSchedule(short, 1, "playbook", 90.0, ("llm_ask",), ((0.25,),), ())
    action, _ = schedule.policy(env).predict(observation)
    column = columns_of(["llm_ask"], env)[0]
    assert action[column] == pytest.approx(base[column] + 0.25)
    assert np.delete(action, column).tolist() == np.delete(base, column).tolist()


@pytest.mark.parametrize(
    "text", ["{}", "[]", "not JSON", '{"offsets": [[1, 2]], "gains": [], "controls": ["llm_ask"]}']
)
def test_a_file_that_is_no_schedule_is_an_error(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"x\.json"):
        read_schedules(tmp_path)
