"""The World Cup's day: its trace is shipped with its notice, and what is kept is of the plan's policies."""

from __future__ import annotations

from streamflow_agents.evaluation.kept_episodes import read_episodes
from streamflow_env.paths import CONFIGS
from streamflow_env.scenarios import Timeline, load_scenario
from streamflow_env.traffic import TraceTraffic
from studies.common.evaluation import EPISODES
from studies.common.study import ROOT, kept, load_plan
from studies.world_cup.run import WorldCupPlan

PLAN = load_plan(WorldCupPlan, "world_cup")


def test_the_day_is_of_the_shipped_trace() -> None:
    day = load_scenario(ROOT / PLAN.scenario)
    assert isinstance(day, Timeline)
    assert isinstance(day.traffic, TraceTraffic)
    assert day.horizon_s == 86_400
    assert day.traffic.recorded.duration_s == 7 * 86_400
    assert day.traffic.recorded.interval_s == 60
    assert f"`{day.traffic.trace}.csv.gz`" in (CONFIGS / "traces" / "NOTICE.md").read_text(encoding="utf-8")


def test_the_kept_episodes_are_those_of_the_plan() -> None:
    episodes = read_episodes(kept("world_cup") / EPISODES)
    assert tuple(episodes.figures) == PLAN.policies
    assert episodes.scenarios == (PLAN.scenario,)
    assert len(episodes.seeds) == PLAN.num_seeds
