"""Score policies, the clairvoyant, and the clairvoyant with single controls frozen, on the clairvoyant's episodes."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from streamflow_agents.arguments import argument
from streamflow_agents.evaluation.kept_episodes import read_episodes, write_rows
from streamflow_agents.policies.baselines import each_without
from streamflow_agents.policies.loading import name_policies
from streamflow_env.errors import ConfigError
from streamflow_env.system.schema import Frozen, Text
from studies.clairvoyant.plan import load_clairvoyant_plan
from studies.clairvoyant.schedule import read_schedules
from studies.common.study import ROOT, StudyArguments, kept, load_plan, outputs
from studies.headroom.measure import measure, scored_episodes
from studies.headroom.report import FIXED, section
from studies.headroom.scores import ZERO
from studies.learners.train import find_learners

FILE = "headroom.csv.gz"


class HeadroomPlan(Frozen):
    """The policies that are scored; `parts_of` is an expert that is also scored without each of its parts."""

    policies: tuple[Text, ...] = Field(min_length=1)
    parts_of: Text


@dataclass(frozen=True)
class Arguments(StudyArguments):
    """Score policies and the clairvoyant on the clairvoyant's episodes."""

    policies: str = argument(
        "", "more baselines, run folders or models, separated by commas; NAME=POLICY calls one by a name of your own"
    )
    learners: str = argument("runs/learners", "the folder of trained agents, which take part too")


def run(arguments: Arguments) -> int:
    """Measure and keep; a quick run has one episode a scenario, three baselines, and a part of the page."""
    plan, clairvoyant = load_plan(HeadroomPlan, "headroom"), load_clairvoyant_plan()
    out, schedules = outputs("headroom", arguments.quick), read_schedules(kept("clairvoyant"))
    if not schedules:
        raise ConfigError(f"{kept('clairvoyant')}: no schedule there; run the study clairvoyant first")
    more = arguments.policies.split(",") if arguments.policies else []
    if arguments.quick:
        schedules = [schedule for schedule in schedules if schedule.seed == schedules[0].seed]
        policies = name_policies([ZERO, FIXED, plan.parts_of, *more])
        episodes = scored_episodes(schedules, policies, ["auth_replicas"], clairvoyant.scoring_noise_seeds[:1])
    else:
        policies = name_policies([*plan.policies, *each_without(plan.parts_of), *more])
        policies |= find_learners(ROOT / arguments.learners)
        episodes = scored_episodes(schedules, policies, clairvoyant.controls, clairvoyant.scoring_noise_seeds)
    write_rows(out.data / FILE, measure(episodes, arguments.jobs, arguments.progress))
    print(f"{out.data / FILE}: {len(episodes)} lines")
    if arguments.quick:
        page = "\n".join(section(read_episodes(out.data / FILE), schedules, None))
        out.page.write_text(page + "\n", encoding="utf-8")
        print(out.page)
    return 0
