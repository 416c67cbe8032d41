"""Search the clairvoyant: a schedule for each of some held-out episodes, with foresight. What is found is kept."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from studies.clairvoyant.plan import STUDY, ClairvoyantPlan, Stage, load_clairvoyant_plan
from studies.clairvoyant.search import search_all
from studies.common.study import StudyArguments, outputs


@dataclass(frozen=True)
class Arguments(StudyArguments):
    """Search a schedule for each of some held-out episodes, with foresight."""


def run(arguments: Arguments) -> int:
    """Search what is not kept yet. A quick run searches one episode, and begins anew."""
    folder, plan = outputs(STUDY, arguments.quick).data, load_clairvoyant_plan()
    if arguments.quick:
        shutil.rmtree(folder, ignore_errors=True)
        plan = quick_plan(plan)
    found = search_all(plan, folder, arguments.jobs, arguments.progress)
    print(f"{folder}: {len(found)} episodes")
    return 0


def quick_plan(plan: ClairvoyantPlan) -> ClairvoyantPlan:
    """The plan of a quick run: one episode, few candidates."""
    stage = Stage(population=4, generations=2, first_step=0.1)
    changes = {
        "bases": ("best_fixed", "tuned_expert"), "scenarios": ("retry-storm",), "episodes": 1, "scenario": stage,
        "episode": stage, "judging": 1,
    }  # fmt: skip
    return plan.model_copy(update=changes)
