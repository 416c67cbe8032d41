"""The perturbations: noise that is new at every step, and a step up or down and back; each of one control."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from studies.exploring.plan import Plan, StepPlan

BASE: Final = "base"
"""The label of the episodes in which nothing is perturbed."""
STEP_UP: Final = "step up"
STEP_DOWN: Final = "step down"
_NO_CONTROL: Final = ""


@dataclass(frozen=True)
class Perturbation:
    """What is added to one control's action: `scale` times the noise, and `step` times the plan's step."""

    name: str
    scale: float = 0.0
    step: float = 0.0


@dataclass(frozen=True)
class Variant:
    """A perturbation of one control; without a control it is the base."""

    control: str = _NO_CONTROL
    perturbation: Perturbation = Perturbation(BASE)

    @property
    def label(self) -> str:
        """As the kept episodes call it."""
        return label_of(self.control, self.perturbation.name) if self.control else BASE


def noise_name(deviation: float) -> str:
    """`noise 0.03`."""
    return f"noise {deviation:g}"


def label_of(control: str, perturbation: str) -> str:
    """The label of a perturbed control in the kept episodes."""
    return f"{control} {perturbation}"


def perturbations(plan: Plan) -> tuple[Perturbation, ...]:
    """Every perturbation, by growing noise, then the step up and down."""
    noise = (Perturbation(noise_name(deviation), scale=deviation) for deviation in plan.noise)
    return (*noise, Perturbation(STEP_UP, step=1.0), Perturbation(STEP_DOWN, step=-1.0))


def variants(plan: Plan) -> tuple[Variant, ...]:
    """The base, then every perturbation of every control of the plan."""
    return (Variant(), *(Variant(control, each) for control in plan.controls for each in perturbations(plan)))


def offsets(variant: Variant, step: StepPlan, seed: int, num_steps: int, interval_s: float) -> NDArray[np.float64]:
    """What is added to the control's action at each step, shape (num_steps,).

    The noise of all amplitudes is the same series, so that they differ by the amplitude alone.
    """
    begin, end = (round(time_s / interval_s) for time_s in (step.start_s, step.start_s + step.duration_s))
    moved = np.zeros(num_steps)
    moved[begin:end] = step.amplitude * variant.perturbation.step
    return moved + variant.perturbation.scale * noise_of(seed, variant.control, num_steps)


def noise_of(seed: int, control: str, num_steps: int) -> NDArray[np.float64]:
    """Independent standard normal numbers, a function of seed and control: other controls do not change them."""
    key = np.array([seed, zlib.crc32(control.encode())], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key)).standard_normal(num_steps)
