"""Schedules: offsets of all controls over time, added to the actions of a base policy; and how they are kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streamflow_agents.policies.loading import load_policy
from streamflow_agents.policies.protocol import Policy, SinglePolicy
from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.errors import ConfigError
from streamflow_env.scenarios import Foreseen, Timeline, load_scenario
from studies.clairvoyant.ascent import weights
from studies.common.policies import ConstantPolicy
from studies.common.study import kept

BEST_FIXED: Final = "best_fixed"
"""The scenario's best setting that never changes, as the study `interventions` found and kept it."""
DOUBLED: Final = "doubled"
"""The folder, in that of the schedules, of what searches of the doubled budget found."""


class ScheduledPolicy(SinglePolicy):
    """A base policy's actions with offsets added, linear in time between points `steps` control steps apart.

    `offsets` has shape (num_points, num_controls), in units of the action axis. With a single point the offsets are
    constant. Of shape (num_cells, num_points, num_controls), they are those of cells that begin together: observations
    and actions then have num_cells as first axis.
    """

    def __init__(self, base: Policy, offsets: NDArray[np.float64], steps: float) -> None:
        self._base = base
        self._offsets = offsets
        self._steps = steps

    def act(self, observation: NDArray[np.float32], memory: Any) -> tuple[NDArray[np.float32], Any]:
        """The base policy's action with offsets; the memory is (step, the base policy's state)."""
        step, own = memory or (0, None)
        action, own = self._base.predict(observation, own, deterministic=True)
        offset = weights(step / self._steps, self._offsets.shape[-2]) @ self._offsets
        return np.clip(action + offset, -1.0, 1.0).astype(np.float32), (step + 1, own)


@dataclass(frozen=True)
class FoundSchedule:
    """The schedule that was found for one episode.

    Attributes:
        level: of the plan's levels, that of the scenario.
        base: the policy that the offsets are added to, the best of its level's bases in this episode.
        segment_s, offsets: as in `ScheduledPolicy`; `offsets` has a row a point, and a column for each of `controls`.
        kept: which candidate it is: `base` (no offsets), `half` or `whole` of the search.
        gains: by iteration, the return of the search's schedule minus that of the base, on the same noise seed.
    """

    level: str
    scenario: str
    seed: int
    base: str
    segment_s: float
    controls: tuple[str, ...]
    offsets: tuple[tuple[float, ...], ...]
    kept: str
    gains: tuple[float, ...]

    def policy(self, env: StreamFlowEnv) -> ScheduledPolicy:
        """The schedule as a policy. Raises ConfigError: the system has other controls."""
        if self.controls != env.control_table.names:
            raise ConfigError(
                f"schedule of {self.scenario}, seed {self.seed}: its controls are {', '.join(self.controls)}, "
                f"must be {', '.join(env.control_table.names)}"
            )
        steps = self.segment_s / env.system.control_interval_s
        return ScheduledPolicy(load_base(self.base, self.scenario, env), np.array(self.offsets), steps)


def load_base(name: str, scenario: str, env: StreamFlowEnv) -> Policy:
    """The policy that offsets are added to: one by name, or `BEST_FIXED`. Raises ConfigError: there is none."""
    if name != BEST_FIXED:
        return load_policy(name, env)
    path = kept("interventions") / "found.json"
    try:
        best: dict[str, Sequence[float]] = json.loads(path.read_text(encoding="utf-8"))["best"]
    except (OSError, KeyError, ValueError) as error:
        raise ConfigError(f"{path}: not what the study interventions keeps: {error!r}") from None
    if scenario not in best:
        raise ConfigError(f"base {name!r}: {path} has none for scenario {scenario!r}")
    return ConstantPolicy(best[scenario])


def foreseen_episode(scenario: str, seed: int) -> StreamFlowEnv:
    """The environment of one episode; an episode seed redraws only its noise. Raises ConfigError for a mixture."""
    return StreamFlowEnv(foreseen(scenario, seed))


def foreseen(scenario: str, seed: int) -> Foreseen:
    """The scenario of one episode, whose seeds redraw only its noise. Raises ConfigError for a mixture."""
    timeline = load_scenario(scenario)
    if not isinstance(timeline, Timeline):
        raise ConfigError(f"scenario {scenario}: a mixture has no episode of its own; name its members")
    return Foreseen(name=timeline.name, timeline=timeline, of_seed=seed)


def write_schedule(path: Path, found: FoundSchedule) -> None:
    """Keep what was found as JSON; a run that is killed leaves no half of a file."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(asdict(found)), encoding="utf-8")
    partial.replace(path)


def read_schedules(folder: Path) -> list[FoundSchedule]:
    """All schedules that are kept in `folder`. Raises ConfigError for another file."""
    return [_read_schedule(path) for path in sorted(folder.glob("*.json"))]


def _read_schedule(path: Path) -> FoundSchedule:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        offsets = tuple(tuple(map(float, row)) for row in content["offsets"])
        controls, gains = tuple(map(str, content["controls"])), tuple(map(float, content["gains"]))
        if not offsets or any(len(row) != len(controls) for row in offsets):
            raise ValueError(f"offsets: must have rows of {len(controls)} numbers")
        level, scenario, base, candidate = (str(content[key]) for key in ("level", "scenario", "base", "kept"))
        seed, segment_s = int(content["seed"]), float(content["segment_s"])
        return FoundSchedule(level, scenario, seed, base, segment_s, controls, offsets, candidate, gains)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{path}: not a kept schedule: {error!r}") from None


def levels_of(found: Sequence[FoundSchedule]) -> dict[str, tuple[str, ...]]:
    """The scenarios of each level."""
    levels = dict.fromkeys(schedule.level for schedule in found)
    return {level: tuple(dict.fromkeys(one.scenario for one in found if one.level == level)) for level in levels}


def schedule_file(folder: Path, scenario: str, seed: int) -> Path:
    """Where the schedule of an episode is kept."""
    return folder / f"{Path(scenario).stem}-{seed}.json"
