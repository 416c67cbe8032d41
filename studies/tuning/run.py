"""Tune the fixed setting and the expert with as many simulated steps as an agent gets; writes configs/baselines."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from streamflow_agents.arguments import argument
from streamflow_env.errors import ConfigError
from streamflow_env.paths import CONFIGS
from studies.common.study import ROOT, StudyArguments, outputs
from studies.tuning.form import CALM, FORMS, LEVELS, STUDY, TuningPlan, load_second_plan, load_tuning_plan
from studies.tuning.search import tune


@dataclass(frozen=True)
class Arguments(StudyArguments):
    """Search the numbers of the tuned fixed setting and of the tuned expert; a search that was killed goes on."""

    form: str = argument("", "what to tune (by default both, one after the other)", ("", *FORMS))
    level: str = argument(CALM, "the scenarios that it is tuned on", LEVELS)
    folder: str = argument("runs/tuning", "where the searches are kept")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.form and self.form not in FORMS:
            raise ConfigError(f"form {self.form!r}: must be one of {', '.join(FORMS)}")
        if self.level not in LEVELS:
            raise ConfigError(f"level {self.level!r}: must be one of {', '.join(LEVELS)}")


def run(arguments: Arguments) -> int:
    """Tune each form in two searches, the second from the result of the first on. A quick run writes no baseline."""
    forms, level = (arguments.form,) if arguments.form else FORMS, arguments.level
    if arguments.quick:
        folder = outputs(STUDY, quick=True).data
        shutil.rmtree(folder, ignore_errors=True)
        for form in forms:
            print(tune(form, quick_plan(load_tuning_plan(level)), folder, arguments.jobs, arguments.progress))
        return 0
    for form in forms:
        for plan, search in ((load_tuning_plan(level), "first"), (load_second_plan(level), "again")):
            print(_tune_baseline(form, plan, ROOT / arguments.folder / level / search, arguments))
    return 0


def quick_plan(plan: TuningPlan) -> TuningPlan:
    """The plan of a quick run: two generations of four candidates on two scenarios of an hour, 240 steps each."""
    changes = {"scenarios": plan.scenarios[:2], "population": 4, "num_steps": 2 * 4 * 2 * 240, "finalists": 1}
    return plan.model_copy(update={**changes, "judging_seeds": 1})


def _tune_baseline(form: str, plan: TuningPlan, folder: Path, arguments: Arguments) -> Path:
    found = tune(form, plan, folder, arguments.jobs, arguments.progress)
    baseline = CONFIGS / "baselines" / found.name
    shutil.copy(found, baseline)
    return baseline
