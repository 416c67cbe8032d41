"""The shift tests: policies where the world is not what they were tuned or trained on; kept as CSV."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from streamflow_agents.evaluation.kept_episodes import write_rows
from streamflow_agents.policies.loading import name_policies
from streamflow_env.errors import ConfigError
from studies.learners.train import LEFT_OUT, find_learners
from studies.robustness.shifts import load_shifts, measure, tasks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plan", default="shifts", help="a name of configs/study, or a YAML file")
    parser.add_argument(
        "--policies",
        default="playbook_hpa,predictive,expert,tuned_static,tuned_expert",
        help="baselines, run folders or models, separated by commas; NAME=POLICY calls one by a name of your own",
    )
    parser.add_argument("--learners", type=Path, default=Path("runs/learners"), help="those there take part too")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--out", type=Path, default=Path("docs/results/shifts.csv.gz"), help="file to write")
    arguments = parser.parse_args()
    if arguments.jobs < 1:
        parser.error(f"--jobs {arguments.jobs}: must be at least 1")
    try:
        plan = load_shifts(arguments.plan)
        left_out = find_learners(arguments.learners, LEFT_OUT)
        policies = name_policies(arguments.policies.split(",")) | find_learners(arguments.learners)
        work = tasks(plan, arguments.plan, policies, left_out)
        write_rows(arguments.out, measure(work, arguments.jobs, progress=True))
    except ConfigError as error:
        sys.exit(f"error: {error}")
    print(f"{arguments.out}: {len(work)} lines")


if __name__ == "__main__":
    main()
