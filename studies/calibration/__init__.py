"""Calibration: measures what the shipped system must show, and compares it with the required ranges.

The required figures are the brief's with the tolerances of the calibration. One system file meets all of them.
`situations` says what must be seen where, `measures` and `onsets` how a figure is read from a `recording`.
`measurement` simulates, `results` judges, `report` and `picture` write the page.
"""

from studies.calibration.measurement import Calibration, calibrate
from studies.calibration.results import RequirementResult, markdown
from studies.calibration.situations import Requirement, Situation, situations

__all__ = [
    "Calibration", "Requirement", "RequirementResult", "Situation", "calibrate", "markdown", "situations",
]  # fmt: skip
