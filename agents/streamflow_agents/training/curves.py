"""TensorBoard's log of a run: curves that go on where a resumed run does, the configuration as text."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stable_baselines3.common.logger import KVWriter, Logger, TensorBoardOutputFormat
from torch.utils.tensorboard import SummaryWriter

from streamflow_agents.training.task import EPISODE
from streamflow_env.system.yaml_files import dump_yaml


class Curves(TensorBoardOutputFormat):
    """An event file in `folder` of what follows `resumed_at` (None: a new run); later points of older files are hidden.

    A step of 0 is not None: a run that is resumed there has points of before.
    """

    def __init__(self, folder: Path, resumed_at: int | None) -> None:
        self.writer = SummaryWriter(log_dir=str(folder), purge_step=None if resumed_at is None else resumed_at + 1)
        self._is_closed = False


def open_curves(folder: Path, configuration: dict[str, Any], resumed_at: int | None) -> Logger:
    """A logger whose curves go on after `resumed_at`, with each part of `configuration` as a text."""
    curves = Curves(folder, resumed_at)
    for name, part in configuration.items():
        text = dump_yaml(part)
        indented = "".join(f"    {line}\n" for line in text.splitlines())  # Markdown's block of code
        curves.writer.add_text(f"configuration/{name}", indented, resumed_at or 0)
    curves.writer.flush()
    return Logger(folder=None, output_formats=[curves])


def write_evaluation(outputs: Iterable[KVWriter], step: int, figures: dict[str, float]) -> None:
    """Write `figures` under `eval/` at `step`, at once; what the logger gathers for its next line is left alone.

    Returns of single episodes are left out.
    """
    values = {f"eval/{name}": value for name, value in figures.items() if not name.startswith(EPISODE)}
    for output in outputs:
        output.write(values, dict.fromkeys(values, ()), step)
