"""TensorBoard's log of a run: curves that go on where a resumed run does, the configuration as text, charts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml
from stable_baselines3.common.logger import Logger, TensorBoardOutputFormat
from torch.utils.tensorboard import SummaryWriter

COMPARED: Final = ("return", "sla_fraction", "error_fraction", "hit_fraction", "llm_use_fraction", "cost_per_hour")
"""Figures of an evaluation that have a chart with the baselines' levels."""

CHARTS: Final = {
    "evaluation and baselines": {
        name: ["Multiline", [rf"eval/{name}$", rf"baseline_[^/]*/{name}$"]] for name in COMPARED
    },
    "replicas": {
        "evaluation": ["Multiline", [r"eval/replicas\..*"]],
        "training": ["Multiline", [r"metrics/replicas\..*"]],
    },
}
"""TensorBoard's page CUSTOM SCALARS."""


class Curves(TensorBoardOutputFormat):
    """An event file in `folder`. What earlier files say of the steps from `first_step` on is no longer shown."""

    def __init__(self, folder: Path, first_step: int | None) -> None:
        self.writer = SummaryWriter(log_dir=str(folder), purge_step=first_step)
        self._is_closed = False


def open_curves(folder: Path, configuration: dict[str, Any], *, steps: int) -> Logger:
    """A logger whose curves go on after `steps`, with each part of `configuration` as a text."""
    curves = Curves(folder, steps + 1 if steps else None)
    for name, part in configuration.items():
        text = yaml.safe_dump(part, sort_keys=False, allow_unicode=True, width=120)
        indented = "".join(f"    {line}\n" for line in text.splitlines())  # Markdown's block of code
        curves.writer.add_text(f"configuration/{name}", indented, steps)
    curves.writer.add_custom_scalars(CHARTS)
    curves.writer.flush()
    return Logger(folder=None, output_formats=[curves])


def write_now(logger: Logger, step: int, values: dict[str, float]) -> None:
    """Write `values` at `step`, without waiting for the end of the update and without taking along what waits."""
    for output in logger.output_formats:
        output.write(values, dict.fromkeys(values, ()), step)
