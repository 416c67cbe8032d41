"""What the studies' pictures share: how a figure is made and saved."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from streamflow_agents.evaluation import plots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI: Final = 110


def new_figure(width: float, height: float, layout: Any = "constrained") -> Figure:
    """An empty figure of this size in inches, drawn without a display."""
    return plots.new_figure(width, height, layout=layout)


def save(figure: Figure, path: Path, dpi: int = DPI) -> None:
    """Write `figure` as a PNG; makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=dpi)
