"""Measure what the shipped system must show as found, and write docs/calibration.md."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from streamflow_env.environment.calibration import calibrate, markdown
from streamflow_env.errors import ConfigError
from streamflow_env.system import load_system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--system", default="streamflow", help="a name of configs/system, or a YAML file")
    parser.add_argument("--seeds", type=int, default=10, help="seeds 0, 1, … of each situation (default 10)")
    parser.add_argument("--engine", default="compiled", choices=["compiled", "reference"])
    parser.add_argument("--out", type=Path, default=Path("docs/calibration.md"), help="file to write")
    arguments = parser.parse_args()
    if arguments.seeds < 1:
        parser.error(f"--seeds {arguments.seeds}: must be at least 1")
    try:
        system = load_system(arguments.system)
    except ConfigError as error:
        sys.exit(f"error: {error}")
    rows = calibrate(system, range(arguments.seeds), engine=arguments.engine)
    table = "\n".join(markdown(rows))
    arguments.out.write_text(
        "# Calibration\n\nWhat the shipped system shows as found, without any intervention, and what it must show.\n"
        f"Written by `make calibrate` from {arguments.seeds} seeds on the {arguments.engine} engine; every seed must "
        "be in the range.\n\n"
        f"{table}\n",
        encoding="utf-8",
    )
    print(table)
    sys.exit(0 if all(row.passes for row in rows) else 1)


if __name__ == "__main__":
    main()
