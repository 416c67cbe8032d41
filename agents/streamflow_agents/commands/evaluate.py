"""`streamflow-evaluate`: compare policies on episodes that no agent has been trained on."""

from __future__ import annotations

import os
import shlex
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from streamflow_agents.arguments import argument, parse_arguments
from streamflow_agents.evaluation.episodes import Setting, evaluate
from streamflow_agents.evaluation.fitting import fitting_policies, fitting_scenarios
from streamflow_agents.evaluation.kept_episodes import write_results
from streamflow_agents.evaluation.tables import (
    free_folder,
    markdown,
    print_tables,
    summarise,
    write_summary_csv,
)
from streamflow_agents.evaluation.timelines import load_panels, write_timelines
from streamflow_agents.policies.loading import name_policies
from streamflow_agents.seeds import evaluation_seeds
from streamflow_env.engines import ENGINE_NAMES
from streamflow_env.errors import ConfigError
from streamflow_env.system import load_system
from streamflow_env.system.yaml_files import dump_yaml

SCENARIOS = "normal,peak-hour,llm-rate-limit,invalidation-storm,retry-storm,compound"


@dataclass(frozen=True)
class Arguments:
    """Evaluate baselines and trained agents on the same held-out episodes; prints the folder of results."""

    policies: str = argument(
        "do_nothing,hpa,playbook,playbook_hpa",
        "baselines, run folders or models, separated by commas; NAME=POLICY gives one another name",
    )
    scenarios: str = argument("", f"names or YAML files, separated by commas (without --trace: {SCENARIOS})")
    num_seeds: int = argument(5, "episodes of each scenario, the same for every policy")
    reference: str = argument("do_nothing", "the policy that differences are taken against")
    trace: str | None = argument(None, "CSV of time and requests (.gz too) that the scenario `trace` is to follow")
    engine: str = argument("compiled", "engine that simulates", ENGINE_NAMES)
    system: str = argument("streamflow", "a name of configs/system, or a YAML file")
    reward: str = argument("default", "a name of configs/reward, or a YAML file")
    panels: str = argument("panels", "panels of the pictures: a name of configs/evaluation, or a YAML file")
    jobs: int = argument(os.cpu_count() or 1, "processes that share the work")
    out: str | None = argument(None, "folder for the results, new or empty (by default a new one in results/)")
    trust: bool = argument(
        False, "load zips of Stable-Baselines3 too, and their vecnormalize.pkl: that runs any code that they hold"
    )
    progress: bool = argument(True, "show a progress bar")


def main() -> None:
    """Evaluate with the options of the command line."""
    arguments = parse_arguments(Arguments)
    try:
        run(arguments, command_line(sys.argv))
    except ConfigError as error:
        sys.exit(f"error: {error}")


def run(arguments: Arguments, command: str) -> None:
    """Evaluate, print and write; the summary names `command`. Raises ConfigError."""
    panels = load_panels(arguments.panels)
    policies = name_policies(arguments.policies.split(","))
    system = load_system(arguments.system)
    policies, unfit = fitting_policies(policies, system)
    scenarios, unfit_scenarios = arguments.scenarios or ("trace" if arguments.trace else SCENARIOS), ""
    if not arguments.scenarios:
        fitting, unfit_scenarios = fitting_scenarios(scenarios.split(","), system)
        scenarios = ",".join(fitting)
    for line in (unfit, unfit_scenarios):
        if line:
            print(line, file=sys.stderr)
    if arguments.reference not in policies:
        raise ConfigError(f"reference {arguments.reference!r}: must be one of {', '.join(policies)}")
    seeds = evaluation_seeds(arguments.num_seeds)
    folder = free_folder(arguments.out)
    results = evaluate(
        policies,
        [name.strip() for name in scenarios.split(",")],
        seeds,
        Setting(arguments.engine, arguments.system, arguments.reward, arguments.trace),
        jobs=arguments.jobs,
        record_first=True,
        progress=arguments.progress,
        trust=arguments.trust,
    )
    summaries = summarise(results, arguments.reference)
    print_tables(summaries, arguments.reference)
    folder.mkdir(parents=True, exist_ok=True)
    described = {"time": time.strftime("%Y-%m-%d %H:%M:%S"), **asdict(arguments), "scenarios": scenarios}
    (folder / "config.yaml").write_text(dump_yaml(described), encoding="utf-8")
    (folder / "summary.md").write_text(markdown(summaries, arguments.reference, seeds, command), encoding="utf-8")
    write_summary_csv(summaries, folder / "summary.csv")
    write_results(folder / "episodes.csv", results, num_digits=None, overwrite=False)
    write_timelines(results, folder, panels)
    print(f"{folder}: {', '.join(sorted(path.name for path in folder.iterdir()))}")


def command_line(argv: list[str]) -> str:
    """The command to type for `argv`: a Python file with `python`, an installed command by its name."""
    program = Path(argv[0])
    start = ["python", argv[0]] if program.suffix == ".py" else [program.stem]
    return shlex.join([*start, *argv[1:]])
