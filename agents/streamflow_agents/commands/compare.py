"""`streamflow-compare`: statistics from an evaluation's kept episodes, and a verdict in words on each policy."""

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
    """Compare with the options of the command line; prints the page's path."""
    parser = argparse.ArgumentParser(description="Compare the policies of an evaluation with one of them.")
    parser.add_argument("folder", type=Path, help="folder of an evaluation, with its episodes.csv (.gz)")
    parser.add_argument("--reference", default="playbook_hpa", help="policy that the others are compared with")
    parser.add_argument(
        "--out", type=Path, help="page to write, its picture beside it (by default comparison.md in the folder)"
    )
    arguments = parser.parse_args()
    try:
        print(run(arguments.folder, arguments.reference, arguments.out or arguments.folder / "comparison.md"))
    except ConfigError as error:
        sys.exit(f"error: {error}")


def run(folder: Path, reference: str, out: Path) -> Path:
    """Write the page `out`, and a picture of the same name beside it, from the episodes kept in `folder`.

    Raises:
        ConfigError: the episodes cannot be read, or `reference` is not among their policies.
    """
    plain, packed = folder / "episodes.csv", folder / "episodes.csv.gz"
    source = packed if packed.is_file() else plain
    picture = out.with_suffix(".png")
    episodes = read_episodes(source)
    text = comparison(episodes, reference, *(os.path.relpath(path, out.parent) for path in (source, picture)))
    draw_comparison(episodes, reference).savefig(picture, dpi=110)
    out.write_text(text, encoding="utf-8")
    return out
