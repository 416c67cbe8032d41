"""Which episodes serve which purpose: named, disjoint ranges of seeds.

An episode seed fixes an episode's load, incidents and noise. What a policy was trained, searched or chosen on must not
be what it is judged on at the end; so each purpose has a range of its own. The noise seeds at the end redraw only the
noise of an episode whose load and incidents are known (`streamflow_env.scenarios.Foreseen`).

Studies of the simulator alone (calibration, validation, equivalence) choose no policy. They count their seeds from 0.

`configs/baselines/tuned_*.yaml` and the data kept in `studies/` were found before these ranges: tuning searched
from 200,000 and 210,000 and judged from 300,000; the clairvoyant search used seeds from 400,000 and chose from 500,000;
interventions used 0, 100 and 101. None of them was an evaluation seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from streamflow_env.errors import ConfigError


@dataclass(frozen=True)
class SeedRange:
    """The seeds from `first` up, `count` of them."""

    first: int
    count: int

    @property
    def end(self) -> int:
        """The first number above the range."""
        return self.first + self.count

    def __contains__(self, seed: int) -> bool:
        return self.first <= seed < self.end

    def seeds(self, num_seeds: int, skip: int = 0) -> tuple[int, ...]:
        """`num_seeds` seeds in order, after the first `skip`.

        Raises:
            ConfigError: fewer than one is asked for, or more than the range has.
        """
        if skip < 0:
            raise ConfigError(f"seeds to skip {skip}: must be at least 0")
        if num_seeds < 1:
            raise ConfigError(f"number of seeds {num_seeds}: must be at least 1")
        if skip + num_seeds > self.count:
            raise ConfigError(f"number of seeds {num_seeds} after {skip}: the range has {self.count}")
        return tuple(range(self.first + skip, self.first + skip + num_seeds))


TRAINING: Final = SeedRange(0, 500_000)
"""An agent's training episodes are drawn from these at random."""
VALIDATION: Final = SeedRange(500_000, 100_000)
"""Judge a model while it trains, and choose the best model of a run."""
TUNING: Final = SeedRange(600_000, 100_000)
"""The search for the numbers of the tuned baselines; a generation meets one seed."""
JUDGING: Final = SeedRange(700_000, 100_000)
"""Choose among what tuning found."""
INTERVENTIONS: Final = SeedRange(900_000, 50_000)
"""Sweeps of single controls, and the search for the best fixed setting of a scenario."""
EXPLORING: Final = SeedRange(950_000, 50_000)
"""What exploring costs: episodes of the study `exploring`, with and without a perturbation of one control."""
EVALUATION: Final = SeedRange(1_000_000, 9_000_000)
"""Held-out episodes: policies are compared on them and on nothing else."""

SEARCH_NOISE: Final = SeedRange(10_000_000, 10_000_000)
"""Noise seeds of the clairvoyant policy's search for a schedule; an iteration meets one."""
CHOICE_NOISE: Final = SeedRange(20_000_000, 10_000_000)
"""Noise seeds on which the base is chosen before the search, and others for the schedule at its end."""
SCORING_NOISE: Final = SeedRange(30_000_000, 10_000_000)
"""Noise seeds on which the schedule and all it is compared with are scored."""

RANGES: Final = {
    "training": TRAINING,
    "validation": VALIDATION,
    "tuning": TUNING,
    "judging": JUDGING,
    "interventions": INTERVENTIONS,
    "exploring": EXPLORING,
    "evaluation": EVALUATION,
    "search noise": SEARCH_NOISE,
    "choice noise": CHOICE_NOISE,
    "scoring noise": SCORING_NOISE,
}
"""Every range by what it is for."""


def evaluation_seeds(num_seeds: int) -> tuple[int, ...]:
    """The first `num_seeds` seeds of EVALUATION. Raises ConfigError as `SeedRange.seeds` does."""
    return EVALUATION.seeds(num_seeds)
