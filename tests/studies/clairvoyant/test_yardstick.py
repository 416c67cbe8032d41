"""The yardstick and the headroom under it: what is foreseen, searched, kept, scored and said of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from streamflow_agents.evaluation.kept_episodes import read_episodes, write_rows
from streamflow_agents.policies.loading import load_policy
from streamflow_env.errors import ConfigError
from streamflow_env.scenarios import Timeline, load_scenario
from streamflow_env.system import load_system
from streamflow_env.system.schema import load
from studies.clairvoyant.convergence_plot import draw_convergence
from studies.clairvoyant.headroom import Held, mean_score, measure, score, section, target, tasks
from studies.clairvoyant.search import (
    Found,
    Scheduled,
    YardstickPlan,
    columns_of,
    foreseen,
    load_base,
    load_yardstick_plan,
    read_found,
    study,
)

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


class Still:
    """A policy that always does nothing, and counts."""

    def predict(self, observation: Any, state: Any = None, *_: Any) -> tuple[Any, Any]:
        return np.zeros(3, dtype=np.float32), (state or 0) + 1


def schedule(offsets: list[list[float]], num_steps: int) -> list[list[float]]:
    policy, seen = Scheduled(Still(), np.array([0, 2]), np.array(offsets), steps=2.0), []
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


def test_what_is_held_does_not_move() -> None:
    held = Held(Still(), np.array([1]), np.array([0.5], dtype=np.float32))
    action, state = held.predict(np.zeros(1, dtype=np.float32))
    assert (action.tolist(), state) == ([0.0, 0.5, 0.0], 1)


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
    env = foreseen("normal", 1)
    observation, _ = env.reset(options={"episode_seed": 1})
    actions = [load_base("best_fixed", name, env).predict(observation)[0] for name in ("normal", "compound")]
    assert (actions[0] != actions[1]).any()
    with pytest.raises(ConfigError, match="has none for scenario"):
        load_base("best_fixed", short, env)


def test_a_mixture_has_no_yardstick_and_a_lever_must_be_a_control(short: str) -> None:
    with pytest.raises(ConfigError, match="mixed: a mixture"):
        foreseen("mixed", 1)
    with pytest.raises(ConfigError, match="lever 'warp'"):
        columns_of(["warp"], foreseen(short, 1))


def plan(short: str) -> YardstickPlan:
    content = load_yardstick_plan().model_dump() | {
        "bases": ["playbook", "do_nothing"], "scenarios": [short], "episodes": 2,
        "levers": ["llm_ask", "auth_replicas"],
        "scenario": {"population": 4, "generations": 3, "first_step": 0.3}, "segment_s": 45.0, "judging": 1,
        "episode": {"population": 4, "generations": 2, "first_step": 0.1}, "scoring": 2,
    }  # fmt: skip
    return load(YardstickPlan, content)


@pytest.mark.slow
def test_from_search_to_page(short: str, tmp_path: Path) -> None:
    ours, kept = plan(short), tmp_path / "kept"
    found = study(ours, kept, jobs=1, progress=False)
    assert study(ours, kept, jobs=1, progress=False) == found
    assert [len(stage) for one in found for stage in one.gains] == [3, 2, 3, 2]
    assert {len(one.offsets) for one in found} == {3}

    policies = {name: name for name in ("playbook_hpa", "tuned_static", "playbook")}
    work = tasks(found, policies, ["auth_replicas"], ours.scoring_lucks)
    rows = measure(work, jobs=1, progress=False)
    write_rows(tmp_path / "headroom.csv.gz", rows)
    write_rows(tmp_path / "again.csv.gz", measure(work, jobs=1, progress=False))
    assert (tmp_path / "headroom.csv.gz").read_bytes() == (tmp_path / "again.csv.gz").read_bytes()
    episodes = read_episodes(tmp_path / "headroom.csv.gz")
    assert set(episodes.figures) == {*policies, "yardstick", "yardstick@auth_replicas"}
    text = "\n".join(section(episodes, found, "picture.png"))
    assert "| `auth_replicas` |" in text
    assert "**The target for learning.**" in text
    draw_convergence(found).savefig(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 5_000


def test_a_kept_schedule_acts_on_top_of_its_base(short: str) -> None:
    env = foreseen(short, 1)
    observation, _ = env.reset(options={"episode_seed": 1})
    base, _ = load_policy("playbook", env).predict(observation)
    schedule = Found(short, 1, "playbook", 90.0, ("llm_ask",), ((0.25,),), ())
    action, _ = schedule.policy(env).predict(observation)
    column = columns_of(["llm_ask"], env)[0]
    assert action[column] == pytest.approx(base[column] + 0.25)
    assert np.delete(action, column).tolist() == np.delete(base, column).tolist()


@pytest.mark.parametrize("text", ["{}", "[]", "not JSON", '{"offsets": [[1, 2]], "gains": [], "levers": ["llm_ask"]}'])
def test_a_kept_file_that_is_none_is_an_error(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"x\.json"):
        read_found(tmp_path)


def scored(tmp_path: Path, returns: dict[str, list[float]]) -> Any:
    rows = [
        {"policy": name, "scenario": f"s{index}", "episode_seed": seed, "return": value + seed, "reward.late": value}
        for name, values in returns.items()
        for index, value in enumerate(values)
        for seed in range(3)
    ]
    write_rows(tmp_path / "headroom.csv.gz", rows)
    return read_episodes(tmp_path / "headroom.csv.gz")


def test_scores_go_from_the_playbook_to_the_yardstick(tmp_path: Path) -> None:
    episodes = scored(tmp_path, {
        "playbook_hpa": [-100.0, -90.0], "yardstick": [-60.0, -70.0], "tuned_static": [-90.0, -76.0],
        "tuned_expert": [-70.0, -95.0], "ppo#0": [-60.0, -70.0], "ppo#1": [-80.0, -70.0],
    })  # fmt: skip
    assert score(episodes, "tuned_static", 0).value == pytest.approx(25.0)
    assert score(episodes, "tuned_static", 1).value == pytest.approx(70.0)
    assert score(episodes, "tuned_expert", 1).value == pytest.approx(-25.0)
    assert mean_score(episodes, "ppo") == pytest.approx(87.5)
    best, reached, wanted = target(episodes)
    assert best == "tuned_static"
    assert reached == pytest.approx(47.5)
    assert wanted == pytest.approx(47.5 + 52.5 / 3)
    text = "\n".join(section(episodes, [Found("s0", 0, "expert", 1.0, (), (), ((0.0, 1.0),))], "x.png"))
    assert "**No go.** The tuned fixed setting scores above 60 in 1 of\n2 scenarios (s1)" in text
    assert "ppo (2 runs)" in text


def test_where_the_yardstick_won_nothing_there_is_no_score(tmp_path: Path) -> None:
    episodes = scored(tmp_path, {"playbook_hpa": [-100.0], "yardstick": [-100.0], "tuned_static": [-90.0]})
    assert np.isnan(score(episodes, "tuned_static", 0).value)


def test_without_the_yardstick_there_is_no_page(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'yardstick'"):
        list(section(scored(tmp_path, {"playbook_hpa": [-1.0]}), [], "x.png"))
