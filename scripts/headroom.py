"""Score policies, the yardstick, and it with single levers held, on the episodes of the yardstick; kept as CSV."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from streamflow_agents.evaluation.kept_episodes import write_rows
from streamflow_agents.policies.baselines import BASELINE_NAMES, each_without
from streamflow_agents.policies.loading import name_policies
from streamflow_env.errors import ConfigError
from studies.clairvoyant.headroom import measure, tasks
from studies.clairvoyant.search import load_yardstick_plan, read_found
from studies.learners.train import find_learners


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plan", default="yardstick", help="a name of configs/study, or a YAML file")
    parser.add_argument(
        "--policies",
        default=",".join(BASELINE_NAMES),
        help="baselines, run folders or models, separated by commas; NAME=POLICY calls one by a name of your own",
    )
    parser.add_argument(
        "--parts-of", default="tuned_expert", help="an expert that takes part without each of its parts"
    )
    parser.add_argument("--yardstick", type=Path, default=Path("docs/results/yardstick"), help="what was found")
    parser.add_argument("--learners", type=Path, default=Path("runs/learners"), help="those there take part too")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--out", type=Path, default=Path("docs/results/headroom.csv.gz"), help="file to write")
    arguments = parser.parse_args()
    if arguments.jobs < 1:
        parser.error(f"--jobs {arguments.jobs}: must be at least 1")
    try:
        plan, found = load_yardstick_plan(arguments.plan), read_found(arguments.yardstick)
        if not found:
            raise ConfigError(f"{arguments.yardstick}: no yardstick there; search it first")
        rules = [*arguments.policies.split(","), *each_without(arguments.parts_of)]
        policies = name_policies(rules) | find_learners(arguments.learners)
        work = tasks(found, policies, plan.levers, plan.scoring_lucks)
        write_rows(arguments.out, measure(work, arguments.jobs, progress=True))
    except ConfigError as error:
        sys.exit(f"error: {error}")
    print(f"{arguments.out}: {len(work)} lines")


if __name__ == "__main__":
    main()
