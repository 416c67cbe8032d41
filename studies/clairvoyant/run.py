"""Search the clairvoyant: a schedule for each of some held-out episodes, with foresight. What is found is kept."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from studies.clairvoyant.plan import STUDY, ClairvoyantPlan, Level, load_clairvoyant_plan
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
    """The plan of a quick run: one episode and its doubled budget, few cells and iterations."""
    level = Level(scenarios=("retry-storm",), bases=("best_fixed", "tuned_expert"), doubled=("retry-storm",))
    ascent = plan.ascent.model_copy(update={"cells": 4, "iterations": 2})
    return plan.model_copy(update={"levels": {"quick": level}, "episodes": 1, "ascent": ascent, "judging": 1})
