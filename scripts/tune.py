"""Tune the fixed setting or the expert; the same as the study `tuning`.

python scripts/tune.py --form static         the fixed setting only
python scripts/tune.py --level varied        on cells that differ
python scripts/tune.py --quick               a trial of a minute or two, written to results/quick
"""

from __future__ import annotations

import sys

from streamflow_agents.arguments import parse_arguments
from streamflow_env.errors import ConfigError
from studies.tuning.run import Arguments, run


def main() -> None:
    """Tune as the command line says."""
    try:
        sys.exit(run(parse_arguments(Arguments)))
    except ConfigError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
