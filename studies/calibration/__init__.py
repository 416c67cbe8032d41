"""Calibration: what the shipped system must show as found, measured. The table of `docs/calibration.md`.

The required figures are the brief's with the tolerances of the calibration; one system file meets all rows.
`situations` says what must be seen where, `measures` and `onsets` how a figure is read off a `recording`, `runs` runs
it all, and `rows`, `document` and `picture` show it.
"""

from studies.calibration.rows import Row, markdown
from studies.calibration.runs import Calibration, calibrate
from studies.calibration.situations import Requirement, Situation, situations

__all__ = ["Calibration", "Requirement", "Row", "Situation", "calibrate", "markdown", "situations"]
