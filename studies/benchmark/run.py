"""Measure how fast it is, side by side in one run, and write docs/performance.md; about a quarter of an hour.

python scripts/benchmark.py --only growth training      again these alone; the page keeps the others
python scripts/benchmark.py --quick --out /tmp/page.md  a trial: a minute or two, and numbers that mean little
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from streamflow_env.errors import ConfigError
from studies.benchmark.page import summary
from studies.benchmark.run import PARTS, run, write


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[], metavar="PART", help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="few and short rounds, small systems")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("docs/performance.md"),
        help="page to write; a folder of its name lies beside it",
    )
    arguments = parser.parse_args()
    try:
        results = write(run(arguments.only, arguments.quick, lambda line: print(line, file=sys.stderr)), arguments.out)
    except ConfigError as error:
        sys.exit(f"error: {error}")
    print(summary(results))


if __name__ == "__main__":
    main()
