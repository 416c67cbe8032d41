"""Evaluate every opponent on held-out episodes, and an expert without each of its parts; kept as CSV."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from streamflow_agents.evaluation.episodes import evaluate
from streamflow_agents.evaluation.kept_episodes import write_results
from streamflow_agents.policies.baselines import BASELINE_NAMES, each_without
from streamflow_agents.seeds import evaluation_seeds
from streamflow_env.errors import ConfigError
from studies.results.report import EPISODES, PARTS
from studies.robustness.shifts import load_shifts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num-seeds", type=int, default=50, help="held-out episodes of each scenario (default 50)")
    parser.add_argument("--parts-of", default="tuned_expert", help="the expert that is taken apart")
    parser.add_argument("--parts-num-seeds", type=int, default=10, help="episodes of each scenario for it (default 10)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--out", type=Path, default=Path("docs/results"), help="folder of the two files")
    arguments = parser.parse_args()
    try:
        scenarios = load_shifts().scenarios
        studies = {
            EPISODES: (BASELINE_NAMES, arguments.num_seeds),
            PARTS: ((arguments.parts_of, *each_without(arguments.parts_of)), arguments.parts_num_seeds),
        }
        results = {
            name: evaluate(
                dict(zip(policies, policies, strict=True)), scenarios, evaluation_seeds(num_seeds),
                jobs=arguments.jobs, progress=True,
            )
            for name, (policies, num_seeds) in studies.items()
        }  # fmt: skip
        for name, found in results.items():
            write_results(arguments.out / name, found)
    except ConfigError as error:
        sys.exit(f"error: {error}")
    print(arguments.out)


if __name__ == "__main__":
    main()
