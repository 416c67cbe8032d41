"""Studies that are one evaluation: its tables and pictures become a report, its episodes are what the study keeps."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
from collections.abc import Iterator
from typing import Final

from streamflow_agents.commands import evaluate
from studies.common.study import ROOT, Outputs

EPISODES: Final = "episodes.csv"


@contextlib.contextmanager
def in_root() -> Iterator[None]:
    """Run a block in the repository's root, so that relative paths in labels and commands are those of the root."""
    with contextlib.chdir(ROOT):
        yield


def evaluate_into(out: Outputs, arguments: evaluate.Arguments, command: str, quick: bool) -> None:
    """Evaluate, then replace the folder `out.pictures` by the report, and the kept episodes by the new ones.

    The evaluation is first written to a folder of its own: a failure leaves the report as it was. `command` is named
    in the report.

    Raises:
        ConfigError: as the evaluation does.
    """
    with in_root():
        new = (out.data.parent if quick else ROOT / "results").relative_to(ROOT) / f"next-{out.page.stem}"
        shutil.rmtree(new, ignore_errors=True)
        evaluate.run(dataclasses.replace(arguments, out=str(new)), command)
        out.data.mkdir(parents=True, exist_ok=True)
        shutil.move(new / EPISODES, out.data / EPISODES)
        shutil.rmtree(out.pictures, ignore_errors=True)
        out.pictures.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(new, out.pictures)
