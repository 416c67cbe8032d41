"""Compare the policies of an evaluation: statistics from its kept episodes, and a verdict in words on each."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from streamflow_agents.evaluation.comparison import comparison
from streamflow_agents.evaluation.comparison_plot import draw_comparison
from streamflow_agents.evaluation.kept_episodes import read_episodes
from streamflow_env.errors import ConfigError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of an evaluation, with its episodes.csv (.gz)")
    parser.add_argument("--reference", default="playbook_hpa", help="policy that the others are compared with")
    parser.add_argument(
        "--out", type=Path, help="page to write, its picture beside it (by default comparison.md in the folder)"
    )
    arguments = parser.parse_args()
    plain, packed = arguments.folder / "episodes.csv", arguments.folder / "episodes.csv.gz"
    source = packed if packed.is_file() else plain
    out: Path = arguments.out or arguments.folder / "comparison.md"
    try:
        episodes = read_episodes(source)
        picture = out.with_suffix(".png")
        links = (os.path.relpath(path, out.parent) for path in (source, picture))
        text = comparison(episodes, arguments.reference, *links)
    except ConfigError as error:
        sys.exit(f"error: {error}")
    draw_comparison(episodes, arguments.reference).savefig(picture, dpi=110)
    out.write_text(text, encoding="utf-8")
    print(out)


if __name__ == "__main__":
    main()
