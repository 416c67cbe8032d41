"""Draw a trace: what was recorded, and the load that an episode on it has.

python scripts/show_trace.py requests.csv --out requests.png
python scripts/show_trace.py log.csv.gz --events --out log.png      one row per request
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from streamflow_env.errors import ConfigError
from streamflow_env.system.schema import parse
from streamflow_env.traffic import TraceTraffic
from streamflow_env.traffic.traces import EVENT_BIN_S
from studies.traces.picture import draw_trace


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trace", metavar="FILE", help="a CSV, or the name of one in configs/traces")
    parser.add_argument("--out", type=Path, required=True, help="picture to write")
    parser.add_argument("--title", help="default: the file's name")
    parser.add_argument("--events", action="store_true", help="the rows are single requests, not counts")
    parser.add_argument(
        "--event-bin-s", type=float, default=EVENT_BIN_S, help="count them per so many seconds (%(default)g)"
    )
    parser.add_argument(
        "--median-level", type=float, default=1.0, help="multiple of the normal load that the median becomes (1)"
    )
    parser.add_argument("--max-level", type=float, help="cut off what lies above")
    arguments = parser.parse_args()
    options = {key: value for key, value in vars(arguments).items() if key not in ("out", "title")}
    try:
        traffic = parse(TraceTraffic, {"kind": "trace", **options}, "show_trace")
        figure = draw_trace(traffic, arguments.title or Path(arguments.trace).name)
    except ConfigError as error:
        sys.exit(f"error: {error}")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(arguments.out, dpi=110)
    print(arguments.out)


if __name__ == "__main__":
    main()
