"""Tune the fixed setting or the expert with as many simulated steps as an agent gets: configs/baselines/tuned_*.yaml.

A search that was killed goes on: its study is kept in runs/tuning.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from streamflow_env.errors import ConfigError
from studies.tuning.search import FORMS, load_tuning_plan, tune


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("form", choices=FORMS, help="what to tune")
    parser.add_argument("--plan", default="tuning", help="a name of configs/study, or a YAML file")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--folder", type=Path, default=Path("runs/tuning"), help="where the search is kept")
    parser.add_argument("--out", type=Path, default=Path("configs/baselines"), help="folder of the result")
    arguments = parser.parse_args()
    if arguments.jobs < 1:
        parser.error(f"--jobs {arguments.jobs}: must be at least 1")
    try:
        found = tune(arguments.form, load_tuning_plan(arguments.plan), arguments.folder, arguments.jobs, progress=True)
    except ConfigError as error:
        sys.exit(f"error: {error}")
    shutil.copy(found, arguments.out / found.name)
    print(arguments.out / found.name)


if __name__ == "__main__":
    main()
