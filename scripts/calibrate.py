"""Measure what the shipped system must show as found; write docs/calibration.md and its pictures."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from streamflow_env.errors import ConfigError
from streamflow_env.system import load_system
from studies.calibration import calibrate, markdown
from studies.calibration.document import page, write_pictures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--system", default="streamflow", help="a name of configs/system, or a YAML file")
    parser.add_argument("--seeds", type=int, default=10, help="seeds 0, 1, … of each situation (default 10)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--no-reference", action="store_true", help="leave out the first seed's repeat, which is slow")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("docs/calibration.md"),
        help="page to write; its pictures lie beside it",
    )
    arguments = parser.parse_args()
    for option in ("seeds", "jobs"):
        if getattr(arguments, option) < 1:
            parser.error(f"--{option} {getattr(arguments, option)}: must be at least 1")
    try:
        calibration = calibrate(
            load_system(arguments.system),
            range(arguments.seeds),
            reference=not arguments.no_reference,
            patience=True,
            processes=arguments.jobs,
            progress=True,
        )
    except ConfigError as error:
        sys.exit(f"error: {error}")
    folder = arguments.out.with_suffix("")
    write_pictures(calibration, folder)
    arguments.out.write_text(page(calibration, folder.name), encoding="utf-8")
    print("\n".join(markdown(calibration.rows)))
    sys.exit(0 if calibration.passes else 1)


if __name__ == "__main__":
    main()
