"""`streamflow-suite`: score policies on the benchmark suite."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from streamflow_agents.arguments import argument, parse_arguments
from streamflow_agents.commands.evaluate import command_line
from streamflow_agents.evaluation.episodes import EpisodeResult, evaluate
from streamflow_agents.evaluation.kept_episodes import write_results
from streamflow_agents.evaluation.references import ENVIRONMENT, keep_references, read_references, references_path
from streamflow_agents.evaluation.suite import Level, Row, Suite, check_labels, figures, load_suite, page, score
from streamflow_agents.evaluation.tables import free_folder
from streamflow_agents.policies.loading import name_policies, policy_digest
from streamflow_env import __version__
from streamflow_env.errors import ConfigError


@dataclass(frozen=True)
class Arguments:
    """Score policies on the held-out episodes of the benchmark suite; prints one table and the folder of results."""

    policies: str = argument(
        "tuned_expert",
        "baselines, run folders or models, separated by commas; NAME=POLICY gives one another name, and policies whose "
        "names are alike up to a # are training runs of one",
    )
    levels: str = argument("", "levels, separated by commas (by default all)")
    by_scenario: bool = argument(False, "print the table of scenarios, too")
    episodes: int | None = argument(None, "fewer episodes of each scenario, for a trial: not a score of the suite")
    suite: str = argument("streamflow", "a name of configs/suites, or a YAML file")
    keep: bool = argument(False, "only evaluate the policies at 0 and 100 of all levels, and keep their episodes")
    jobs: int = argument(os.cpu_count() or 1, "processes that share the work")
    out: str | None = argument(None, "folder for the results, new or empty (by default a new one in results/)")
    progress: bool = argument(True, "show a progress bar")


def main() -> None:
    """Score with the options of the command line."""
    arguments = parse_arguments(Arguments)
    try:
        if arguments.keep:
            keep(arguments)
        else:
            run(arguments, command_line(sys.argv))
    except ConfigError as error:
        sys.exit(f"error: {error}")


def keep(arguments: Arguments) -> None:
    """Evaluate the references of all levels on all episodes of the suite, and keep them. Raises ConfigError."""
    if arguments.levels or arguments.episodes is not None:
        raise ConfigError("keep: takes all levels and all episodes; leave out levels and episodes")
    suite, path = load_suite(arguments.suite), references_path(arguments.suite)
    keep_references(path, suite, _evaluated({}, suite.levels, suite.seeds(), [], arguments))
    print(path)


def run(arguments: Arguments, command: str) -> None:
    """Score, print and write; the page names `command`. Raises ConfigError."""
    suite, path = load_suite(arguments.suite), references_path(arguments.suite)
    levels = suite.choose([name.strip() for name in arguments.levels.split(",")] if arguments.levels else [])
    seeds = suite.seeds(arguments.episodes)
    policies = name_policies(arguments.policies.split(","))
    check_labels(policies, levels.values())
    folder = free_folder(arguments.out)
    references: list[EpisodeResult] = []
    if path.is_file():
        references = read_references(path, suite, levels.values(), seeds)
    else:
        print(f"{path.name}: not kept yet, so the policies at 0 and 100 are evaluated, too (--keep keeps them)")
    new = _evaluated(policies, levels, seeds, references, arguments)
    rows = [row for name, level in levels.items() for row in score(name, level, [*references, *new])]
    print(page(suite, seeds, ENVIRONMENT, rows, by_scenario=arguments.by_scenario))
    folder.mkdir(parents=True, exist_ok=True)
    text = page(suite, seeds, ENVIRONMENT, rows, by_scenario=True)
    (folder / "suite.md").write_text(f"{text}\nMade by `{command}`.\n", encoding="utf-8")
    record = _record(suite, levels, seeds, policies, rows)
    (folder / "suite.json").write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    write_results(folder / "episodes.csv", new or references, num_digits=None, overwrite=False)
    print(f"{folder}: {', '.join(sorted(file.name for file in folder.iterdir()))}")


def _evaluated(
    policies: Mapping[str, str],
    levels: Mapping[str, Level],
    seeds: Sequence[int],
    known: Sequence[EpisodeResult],
    arguments: Arguments,
) -> list[EpisodeResult]:
    """The episodes of `policies` (label -> source) and of the references of each level, but for those `known`."""
    results: list[EpisodeResult] = []
    for level in levels.values():
        there = {result.policy for result in known if result.scenario in level.scenarios}
        wanted = {name: name for name in level.references} | dict(policies)
        missing = {label: source for label, source in wanted.items() if label not in there}
        if missing:
            results += evaluate(missing, level.scenarios, seeds, jobs=arguments.jobs, progress=arguments.progress)
    return results


def _record(
    suite: Suite, levels: Mapping[str, Level], seeds: Sequence[int], policies: Mapping[str, str], rows: Sequence[Row]
) -> dict[str, Any]:
    """All that is needed to run the suite again, and what came out."""
    sources = {name: name for level in levels.values() for name in level.references} | dict(policies)
    return {
        "suite": suite.name,
        "version": suite.version,
        "environment": {"id": ENVIRONMENT, "package": __version__},
        "is_score": len(seeds) == suite.episodes,
        "seeds": list(seeds),
        "policies": {label: {"source": source, "sha256": policy_digest(source)} for label, source in sources.items()},
        "levels": {name: level.model_dump(mode="json") for name, level in levels.items()},
        "figures": figures(rows),
    }
