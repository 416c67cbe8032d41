"""Train PPO under several seeds, on all incidents and with one left out; evaluate it on the opponents' episodes."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from streamflow_agents.evaluation.episodes import evaluate
from streamflow_agents.evaluation.kept_episodes import write_results
from streamflow_agents.seeds import evaluation_seeds
from streamflow_env.errors import ConfigError
from studies.learners.train import LEFT_OUT, WHOLE, Learner, find_learners, train_learners
from studies.robustness.shifts import load_shifts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--algorithm", default="ppo", help="a name of configs/training")
    parser.add_argument("--seeds", type=int, default=5, help="training seeds 0, 1, … (default 5)")
    parser.add_argument("--left-out-seeds", type=int, default=5, help="of those with a cascade left out (default 5)")
    parser.add_argument("--total-steps", type=int, default=200_000, help="control steps of each (default 200000)")
    parser.add_argument("--num-seeds", type=int, default=50, help="held-out episodes of each scenario (default 50)")
    parser.add_argument("--folder", type=Path, default=Path("runs/learners"), help="where the runs are kept")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--out", type=Path, default=Path("docs/results/learners.csv.gz"), help="file to write")
    arguments = parser.parse_args()
    for option in ("seeds", "total_steps", "num_seeds", "jobs"):
        if getattr(arguments, option) < 1:
            parser.error(f"--{option.replace('_', '-')} {getattr(arguments, option)}: must be at least 1")
    try:
        kinds = [(WHOLE, seed) for seed in range(arguments.seeds)]
        kinds += [(LEFT_OUT, seed) for seed in range(arguments.left_out_seeds)]
        train_learners(
            [Learner(arguments.folder, arguments.algorithm, *kind, arguments.total_steps) for kind in kinds],
            arguments.jobs,
        )
        seeds = evaluation_seeds(arguments.num_seeds)
        scenarios = load_shifts().scenarios
        results = evaluate(find_learners(arguments.folder), scenarios, seeds, jobs=arguments.jobs, progress=True)
        write_results(arguments.out, results)
    except ConfigError as error:
        sys.exit(f"error: {error}")
    print(arguments.out)


if __name__ == "__main__":
    main()
