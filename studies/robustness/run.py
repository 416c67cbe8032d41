"""The shift tests: policies under conditions that differ from those they were tuned or trained on; kept as CSV."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from streamflow_agents.arguments import argument
from streamflow_agents.evaluation.kept_episodes import read_episodes, write_rows
from streamflow_agents.policies.loading import name_policies
from studies.common.study import ROOT, StudyArguments, outputs
from studies.headroom.scores import ZERO
from studies.learners.train import LEFT_OUT, find_learners
from studies.robustness.measure import measure, shifted_episodes
from studies.robustness.report import section
from studies.robustness.shifts import ShiftPlan, load_shifts

FILE: Final = "shifts.csv.gz"


@dataclass(frozen=True)
class Arguments(StudyArguments):
    """Evaluate policies under conditions that differ from those they were tuned or trained on."""

    policies: str = argument(
        "", "more baselines, run folders or models, separated by commas; NAME=POLICY calls one by a name of your own"
    )
    learners: str = argument("runs/learners", "the folder of trained agents, which take part too")


def run(arguments: Arguments) -> int:
    """Measure and keep; a quick run has two baselines on few episodes, and a part of the page."""
    plan, out, learners = load_shifts(), outputs("robustness", arguments.quick), ROOT / arguments.learners
    more = arguments.policies.split(",") if arguments.policies else []
    if arguments.quick:
        plan = quick_plan(plan)
        episodes = shifted_episodes(plan, name_policies([ZERO, "tuned_expert", *more]), {})
    else:
        policies = name_policies([*plan.policies, *more]) | find_learners(learners)
        episodes = shifted_episodes(plan, policies, find_learners(learners, LEFT_OUT))
    write_rows(out.data / FILE, measure(episodes, arguments.jobs, arguments.progress))
    print(f"{out.data / FILE}: {len(episodes)} lines")
    if arguments.quick:
        page = "\n".join(section(read_episodes(out.data / FILE), plan, ZERO))
        out.page.write_text(page + "\n", encoding="utf-8")
        print(out.page)
    return 0


def quick_plan(plan: ShiftPlan) -> ShiftPlan:
    """The plan of a quick run: every shift, with an episode of each of two scenarios."""
    return plan.model_copy(update={"scenarios": ("normal", "compound"), "episodes": 2})
