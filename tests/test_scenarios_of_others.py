"""Scenarios that are made of others: mixtures, `like`, varied hours in the cells of a storm, and the held-out hours."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from streamflow_env.cells import load_cell
from streamflow_env.errors import ConfigError
from streamflow_env.paths import CONFIGS
from streamflow_env.scenarios import Mixture, Timeline, load_scenario, scenario_names
from streamflow_env.system import System, load_system
from streamflow_env.traffic import TraceTraffic
from tests.shipped_scenarios import HELD_OUT_HOURS, HOURLY, STORM, levels, same


@pytest.fixture(scope="module")
def system() -> System:
    return load_system("streamflow")


def test_mixed_draws_its_members_by_weight(system: System) -> None:
    mixed = load_scenario("mixed")
    assert isinstance(mixed, Mixture)
    assert set(mixed.members) == set(HOURLY)
    drawn = Counter(mixed.episode(system, seed).scenario for seed in range(600))
    for name, weight in mixed.members.items():
        assert drawn[name] / 600 == pytest.approx(weight / sum(mixed.members.values()), abs=0.06)


def test_a_mixed_episode_is_the_members_own(system: System) -> None:
    for seed in range(10):
        episode = load_scenario("mixed").episode(system, seed)
        assert same(episode, load_scenario(episode.scenario).episode(system, seed))


@pytest.mark.parametrize("name", STORM)
def test_a_storm_scenario_is_the_varied_one_in_another_cell(system: System, name: str) -> None:
    storm, varied = load_scenario(name), load_scenario(name.replace("storm-", "varied-", 1))
    assert isinstance(storm, Timeline)
    assert isinstance(varied, Timeline)
    assert (storm.cell, varied.cell) == (load_cell("storm"), load_cell("varied"))
    own = {"name", "meaning", "cell"}
    assert storm.model_dump(exclude=own) == varied.model_dump(exclude=own)
    if name not in HELD_OUT_HOURS:
        mixture = load_scenario("storm")
        assert isinstance(mixture, Mixture)
        member = next(member for member in mixture.scenarios if member.name == varied.name)
        assert storm.model_dump(exclude={"name", "meaning"}) == member.model_dump(exclude={"name", "meaning"})


def test_the_held_out_hours_are_28_to_30_june_and_nothing_else_reaches_them(system: System) -> None:
    def june(day: int) -> float:
        return datetime(1998, 6, day, tzinfo=UTC).timestamp()

    reached = {}
    for name in scenario_names():
        traffic = getattr(load_scenario(name), "traffic", None)
        if isinstance(traffic, TraceTraffic) and traffic.trace == "world_cup_1998":
            assert isinstance(traffic.start, tuple)
            first_s = float(traffic.recorded.times_s[0])
            reached[name] = first_s + 3600 * traffic.start[0], first_s + 3600 * (traffic.start[1] + 1)
    july = datetime(1998, 7, 1, tzinfo=UTC).timestamp()
    assert reached == {
        "varied-real-hour": (june(24), june(28)),
        **dict.fromkeys(HELD_OUT_HOURS, (june(28), july)),
    }
    traffic = load_scenario("varied-held-out-hour").traffic  # type: ignore[attr-defined]
    assert traffic.recorded.times_s[-1] == july - 60


def test_a_held_out_hour_is_the_recorded_one(system: System) -> None:
    """The level from t = 0 on is that of a window of the trace that begins in the recorded hour of the day."""
    scenario = load_scenario("varied-held-out-hour")
    assert isinstance(scenario, Timeline)
    traffic = scenario.traffic
    assert isinstance(traffic, TraceTraffic)
    counts = traffic.recorded.counts[96 * 60 :]
    for seed in range(5):
        episode = scenario.episode(system, seed)
        loads = load_scenario(scenario.model_dump() | {"incidents": (), "cell": None}).episode(system, seed)
        minutes = levels(system, loads).reshape(60, 12).mean(axis=1)
        expected = np.minimum(counts * (0.9 / traffic.recorded.median), 3.2)
        windows = np.lib.stride_tricks.sliding_window_view(expected, 60)
        best = int(np.abs(windows - minutes).mean(axis=1).argmin())
        assert np.abs(windows[best] - minutes).mean() < 0.03 * minutes.mean()
        assert abs(episode.start_hour - best / 60 % 24) < 0.02


def test_no_mixture_has_a_held_out_hour_and_no_plan_tunes_on_one() -> None:
    for name in scenario_names():
        scenario = load_scenario(name)
        if isinstance(scenario, Mixture):
            assert not {member.name for member in scenario.scenarios} & set(HELD_OUT_HOURS)
    files = [*(CONFIGS / "training").glob("*.yaml"), *(CONFIGS.parent / "studies").glob("*/*.yaml")]
    assert len(files) > 20
    assert [str(path) for path in files if "held-out-hour" in path.read_text(encoding="utf-8")] == []


def test_like_takes_over_all_but_the_name(tmp_path: Path) -> None:
    slow = load_scenario({"name": "slow", "like": "retry-storm", "horizon_s": 900})
    usual = load_scenario("retry-storm")
    assert isinstance(slow, Timeline)
    assert isinstance(usual, Timeline)
    assert (slow.name, slow.meaning, slow.horizon_s) == ("slow", "no description", 900)
    assert (slow.traffic, slow.incidents) == (usual.traffic, usual.incidents)
    mixture = load_scenario({"name": "mine", "like": "mixed", "cell": "storm"})
    assert isinstance(mixture, Mixture)
    assert mixture.members == load_scenario("mixed").members  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match=r"scenario \(no name\): name: required key is missing"):
        load_scenario({"like": "normal"})
    with pytest.raises(ConfigError, match="'no-such': neither a file nor one of campaign"):
        load_scenario({"name": "mine", "like": "no-such"})
    path = tmp_path / "mine.yaml"
    path.write_text(f"name: mine\nlike: {path}\n")
    with pytest.raises(ConfigError, match=r"mine.yaml: like: must not lead back to the same file"):
        load_scenario(path)
    path.write_text("- 1\n")
    with pytest.raises(ConfigError, match="must be a valid dictionary"):
        load_scenario({"name": "other", "like": str(path)})
