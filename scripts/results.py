"""Write docs/results.md, its pictures and README's summary from what the studies kept; nothing is simulated."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from streamflow_env.errors import ConfigError
from studies.results.report import write_page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path, default=Path("docs/results.md"), help="the outputs lie in its folder")
    parser.add_argument("--readme", type=Path, default=Path("README.md"), help="it carries the summary")
    arguments = parser.parse_args()
    try:
        write_page(arguments.page, arguments.readme)
    except ConfigError as error:
        sys.exit(f"error: {error}")
    print(arguments.page)


if __name__ == "__main__":
    main()
