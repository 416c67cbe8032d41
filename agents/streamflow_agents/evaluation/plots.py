"""What all pictures share: how a figure is made, and colours. Importing this module does not load matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS: Final = ("#4d4d4d", "#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c564b")
"""One a policy, in order; the colour-blind can tell them apart (Okabe and Ito 2008)."""
BETTER, WORSE, ALIKE = "#0072b2", "#d55e00", "#7f7f7f"


def new_figure(width_in: float, height_in: float, **options: Any) -> Figure:
    """An empty figure of this size in inches, drawn without a display; `options` are those of `Figure`.

    Its layout is `constrained` unless `options` say otherwise.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    return Figure(figsize=(width_in, height_in), **{"layout": "constrained", **options})
