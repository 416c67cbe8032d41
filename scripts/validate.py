"""Hold the simulator against theory, another simulator, published failures and documented controllers; write the page.

Writes docs/validation.md and its pictures: all of them, or where something fails none. Exits with 1 where a row is
wrong. With --only the tables of that section are printed, and a page is written only where --out says so. With
--refresh nothing is measured: what `make accounting` and `make mutants` have kept is quoted anew in the page.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from streamflow_env.errors import ConfigError
from studies.validation.page import Measured, measure, refresh, write
from studies.validation.section import Settings
from studies.validation.sections import SECTIONS

PAGE = Path("docs/validation.md")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=SECTIONS, metavar="SECTION", help=f"of {', '.join(SECTIONS)}")
    parser.add_argument("--refresh", action="store_true", help="quote the kept campaigns anew, and measure nothing")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--no-reference", action="store_true", help="leave out the first seed's repeat, which is slow")
    parser.add_argument("--out", type=Path, help=f"page to write, its pictures beside it (default {PAGE})")
    arguments = parser.parse_args()
    if arguments.jobs < 1:
        parser.error(f"--jobs {arguments.jobs}: must be at least 1")
    out = arguments.out or (None if arguments.only else PAGE)
    if out is not None and not out.parent.is_dir():
        parser.error(f"--out {out}: {out.parent} is no folder")
    settings = Settings(arguments.jobs, not arguments.no_reference, progress=True)
    try:
        if arguments.refresh:
            sys.exit(0 if all(section.passes for section in refresh(settings, arguments.out or PAGE)) else 1)
        measured = [told(each) for each in measure(settings, arguments.only or list(SECTIONS))]
    except ConfigError as error:
        sys.exit(f"error: {error}")
    if out is not None:
        write(measured, settings, out)
    sys.exit(0 if all(each.section.passes for each in measured) else 1)


def told(measured: Measured) -> Measured:
    """Print a section's tables as it ends."""
    print("\n".join(measured.section.tables()))
    print(f"{measured.section.title}: {measured.section.verdict or 'done'}, {measured.duration_s:.0f} s\n", flush=True)
    return measured


if __name__ == "__main__":
    main()
