"""Score policies, the clairvoyant, and the clairvoyant with single controls frozen, on the clairvoyant's episodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pydantic import Field

from streamflow_agents.arguments import argument
from streamflow_agents.evaluation.kept_episodes import read_episodes, write_rows
from streamflow_agents.policies.baselines import each_without, is_baseline
from streamflow_agents.policies.loading import name_policies
from streamflow_env.errors import ConfigError
from streamflow_env.system.schema import Frozen, Text
from studies.clairvoyant.plan import load_clairvoyant_plan
from studies.clairvoyant.schedule import DOUBLED, read_schedules
from studies.common.study import ROOT, StudyArguments, kept, load_plan, outputs
from studies.headroom.measure import doubled_episodes, measure, scored_episodes
from studies.headroom.report import FIXED, section
from studies.headroom.scores import ZERO
from studies.learners.train import find_learners

FILE: Final = "headroom.csv.gz"
DOUBLED_FILE: Final = "doubled.csv.gz"


class HeadroomPlan(Frozen):
    """The policies that are scored; `parts_of` is an expert that is also scored without each of its parts.

    The clairvoyant plan's optional bases are scored too, where they are baselines.
    """

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
    folder, out = kept("clairvoyant"), outputs("headroom", arguments.quick)
    schedules, doubled = read_schedules(folder), read_schedules(folder / DOUBLED)
    if not schedules:
        raise ConfigError(f"{folder}: no schedule there; run the study clairvoyant first")
    more = arguments.policies.split(",") if arguments.policies else []
    noise_seeds = clairvoyant.scoring_noise_seeds
    if arguments.quick:
        noise_seeds = noise_seeds[:1]
        schedules = [schedule for schedule in schedules if schedule.seed == schedules[0].seed]
        policies, frozen = name_policies([ZERO, FIXED, plan.parts_of, *more]), ["auth_replicas"]
    else:
        there = [name for name in clairvoyant.optional_bases if is_baseline(name)]
        policies = name_policies([*plan.policies, *there, *each_without(plan.parts_of), *more])
        policies |= find_learners(ROOT / arguments.learners)
        frozen = list(schedules[0].controls)
    for file, episodes in {
        FILE: scored_episodes(schedules, policies, frozen, noise_seeds),
        DOUBLED_FILE: doubled_episodes(doubled, noise_seeds),
    }.items():
        (out.data / file).unlink(missing_ok=True)
        if episodes:
            write_rows(out.data / file, measure(episodes, arguments.jobs, arguments.progress))
            print(f"{out.data / file}: {len(episodes)} lines")
    if arguments.quick:
        twice = read_episodes(out.data / DOUBLED_FILE) if doubled else None
        page = "\n".join(section(read_episodes(out.data / FILE), schedules, twice, None))
        out.page.write_text(page + "\n", encoding="utf-8")
        print(out.page)
    return 0
