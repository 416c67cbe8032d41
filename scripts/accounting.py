"""Hold random control steps against every account and bound: random systems, loads, incidents and actions.

One episode in eight is of the shipped system, under the shipped scenarios in turn. Of those of random systems one in
ten is idle, one in ten dead, in one in ten far too many come, and one in fifty is run on both engines, which must be
equal. The same --seed gives the same cases, whatever --jobs. A violation names its case; `make accounting
ARGS="--case N"` repeats that one, on both engines. The summary is written to --out.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tqdm import tqdm

from studies.accounting.campaign import Summary, run_cases
from studies.accounting.random_cases import STEPS_A_CASE, Case, run_case


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1_000_000, help="control steps (default 1000000)")
    parser.add_argument("--seed", type=int, default=0, help="of the campaign (default 0)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so long (default: never)")
    parser.add_argument("--case", type=int, help="repeat this one case and say what it does")
    parser.add_argument("--out", type=Path, default=Path("docs/validation/accounting.json"), help="summary (JSON)")
    arguments = parser.parse_args()
    if arguments.case is not None:
        repeat(Case(arguments.seed, arguments.case))
    if min(arguments.steps, arguments.jobs) < 1:
        parser.error("--steps and --jobs must be at least 1")
    began, summary = time.monotonic(), Summary(arguments.seed)
    with tqdm(total=arguments.steps, unit="step", unit_scale=True) as bar:
        for case, result in run_cases(arguments.seed, arguments.steps, arguments.jobs):
            summary.add(case, result)
            bar.update(min(STEPS_A_CASE, arguments.steps - bar.n))
            for error in result.errors:
                bar.write(f"VIOLATED in step {result.steps} of {case}: {error}")
            if time.monotonic() - began > 60 * arguments.minutes:
                break
    summary.write(arguments.out, time.monotonic() - began)
    print(summary)
    sys.exit(1 if summary.violations else 0)


def repeat(case: Case) -> None:
    """Run one case, print what came of it, and exit: 1 where it breaks a rule."""
    print(case)
    result = run_case(case, compare=True)
    for error in result.errors:
        print(f"VIOLATED in step {result.steps}: {error}")
    print(f"{result.steps} steps, {result.attempts:,} attempts, {result.compared} intervals equal on both engines")
    sys.exit(1 if result.errors else 0)


if __name__ == "__main__":
    main()
