"""Search the yardstick: a schedule for each of some held-out episodes, with foresight; hours. What is found is kept."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from streamflow_env.errors import ConfigError
from studies.clairvoyant.search import load_yardstick_plan, study


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plan", default="yardstick", help="a name of configs/study, or a YAML file")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--out", type=Path, default=Path("docs/results/yardstick"), help="folder of what is found")
    arguments = parser.parse_args()
    if arguments.jobs < 1:
        parser.error(f"--jobs {arguments.jobs}: must be at least 1")
    try:
        found = study(load_yardstick_plan(arguments.plan), arguments.out, arguments.jobs, progress=True)
    except ConfigError as error:
        sys.exit(f"error: {error}")
    print(f"{arguments.out}: {len(found)} episodes")


if __name__ == "__main__":
    main()
