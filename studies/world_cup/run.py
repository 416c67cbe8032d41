"""Evaluate the baselines on a recorded day with flash crowds: 24 June 1998 at the World Cup's site."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pydantic import Field

from streamflow_agents.commands import evaluate
from streamflow_env.system.schema import Count, Frozen, Text, read_yaml
from streamflow_env.system.yaml_files import dump_yaml
from studies.common.evaluation import evaluate_into
from studies.common.study import QUICK, ROOT, StudyArguments, load_plan, outputs

COMMAND: Final = "make study NAME=world_cup"
QUICK_HORIZON_S: Final = 3600
QUICK_START: Final = "1998-06-24 14:00:00"
"""A quick run has the hour of the first flash crowd only."""


class WorldCupPlan(Frozen):
    """The scenario, a path from the repository's root; the policies; and the number of episodes."""

    scenario: Text
    policies: tuple[Text, ...] = Field(min_length=1)
    num_seeds: Count


@dataclass(frozen=True)
class Arguments(StudyArguments):
    """Evaluate the baselines on a recorded day with flash crowds."""


def run(arguments: Arguments) -> int:
    """Evaluate. A quick run has one episode of an hour of the day."""
    plan, out = load_plan(WorldCupPlan, "world_cup"), outputs("world_cup", arguments.quick, page="world-cup")
    evaluation = evaluate.Arguments(
        policies=",".join(plan.policies),
        scenarios=_quick_scenario(plan) if arguments.quick else plan.scenario,
        num_seeds=1 if arguments.quick else plan.num_seeds,
        jobs=arguments.jobs,
        progress=arguments.progress,
    )
    evaluate_into(out, evaluation, COMMAND, arguments.quick)
    print(out.pictures)
    return 0


def _quick_scenario(plan: WorldCupPlan) -> str:
    """The path, from the repository's root, of the scenario of a quick run."""
    day = read_yaml(ROOT / plan.scenario)
    path = QUICK / "world_cup" / "world-cup-hour.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {**day, "horizon_s": QUICK_HORIZON_S, "traffic": {**day["traffic"], "start": QUICK_START}}
    path.write_text(dump_yaml(content), encoding="utf-8")
    return str(path.relative_to(ROOT))
