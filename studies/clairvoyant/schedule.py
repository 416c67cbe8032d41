"""Schedules: offsets of some controls over time, added to the actions of a base policy; and how they are kept."""

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
from studies.common.policies import ConstantPolicy
from studies.common.study import kept

BEST_FIXED: Final = "best_fixed"
"""The scenario's best setting that never changes, as the study `interventions` found and kept it."""
SCENARIOS: Final = "scenarios"
"""The folder, in that of the schedules, of what the scenarios' own searches found."""


class ScheduledPolicy(SinglePolicy):
    """A base policy's actions with offsets added, linear in time between points `steps` control steps apart.

    `offsets` has shape (num_points, num_controls), in units of the action axis; `columns` are the controls' places in
    an action. With a single point the offsets are constant.
    """

    def __init__(self, base: Policy, columns: NDArray[np.intp], offsets: NDArray[np.float64], steps: float) -> None:
        self._base = base
        self._columns = columns
        self._offsets = offsets
        self._steps = steps

    def act(self, observation: NDArray[np.float32], memory: Any) -> tuple[NDArray[Any], Any]:
        """The base policy's action with offsets; the memory is (step, the base policy's state)."""
        step, own = memory or (0, None)
        action, own = self._base.predict(observation, own, deterministic=True)
        at = min(step / self._steps, len(self._offsets) - 1.0)
        before = min(int(at), max(0, len(self._offsets) - 2))
        after = min(before + 1, len(self._offsets) - 1)
        offset = self._offsets[before] + (at - before) * (self._offsets[after] - self._offsets[before])
        moved = np.array(action)
        moved[self._columns] = np.clip(moved[self._columns] + offset, -1.0, 1.0)
        return moved, (step + 1, own)


@dataclass(frozen=True)
class FoundSchedule:
    """The schedule that was found for one episode.

    Attributes:
        base: the policy that the offsets are added to, the best of the plan's bases in this scenario.
        segment_s, controls, offsets: as in `ScheduledPolicy`; `offsets` has a row a point.
        gains: by stage and generation, the return of the search's mean minus that of the base, on the same noise seed.
    """

    scenario: str
    seed: int
    base: str
    segment_s: float
    controls: tuple[str, ...]
    offsets: tuple[tuple[float, ...], ...]
    gains: tuple[tuple[float, ...], ...]

    def policy(self, env: StreamFlowEnv) -> ScheduledPolicy:
        """The schedule as a policy. Raises ConfigError: the system has no such control."""
        columns = columns_of(self.controls, env)
        steps = self.segment_s / env.system.control_interval_s
        return ScheduledPolicy(load_base(self.base, self.scenario, env), columns, np.array(self.offsets), steps)


@dataclass(frozen=True)
class FoundOffsets:
    """What was found for a scenario: its best base, constant offsets, and their gains by generation."""

    base: str
    offsets: tuple[float, ...]
    gains: tuple[float, ...]


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


def columns_of(controls: Sequence[str], env: StreamFlowEnv) -> NDArray[np.intp]:
    """The places of controls in an action. Raises ConfigError: the system has no such control."""
    names = env.control_table.names
    for control in controls:
        if control not in names:
            raise ConfigError(f"control {control!r}: must be one of {', '.join(names)}")
    return np.array([names.index(control) for control in controls], dtype=np.intp)


def foreseen_episode(scenario: str, seed: int) -> StreamFlowEnv:
    """The environment of one episode; an episode seed redraws only its noise. Raises ConfigError for a mixture."""
    timeline = load_scenario(scenario)
    if not isinstance(timeline, Timeline):
        raise ConfigError(f"scenario {scenario}: a mixture has no episode of its own; name its members")
    return StreamFlowEnv(Foreseen(name=timeline.name, timeline=timeline, of_seed=seed))


def write_found(path: Path, found: FoundSchedule | FoundOffsets) -> None:
    """Keep what was found as JSON; a run that is killed leaves no half of a file."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(asdict(found)), encoding="utf-8")
    partial.replace(path)


def read_offsets(path: Path) -> FoundOffsets:
    """What `write_found` kept for a scenario. Raises ConfigError for another file."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        offsets, gains = (tuple(map(float, content[key])) for key in ("offsets", "gains"))
        return FoundOffsets(str(content["base"]), offsets, gains)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{path}: not the kept offsets of a scenario: {error!r}") from None


def read_schedules(folder: Path) -> list[FoundSchedule]:
    """All schedules that are kept in `folder`. Raises ConfigError for another file."""
    return [_read_schedule(path) for path in sorted(folder.glob("*.json"))]


def _read_schedule(path: Path) -> FoundSchedule:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        offsets = tuple(tuple(map(float, row)) for row in content["offsets"])
        gains = tuple(tuple(map(float, stage)) for stage in content["gains"])
        controls = tuple(map(str, content["controls"]))
        if not offsets or any(len(row) != len(controls) for row in offsets):
            raise ValueError(f"offsets: must have rows of {len(controls)} numbers")
        scenario, seed, base = str(content["scenario"]), int(content["seed"]), str(content["base"])
        return FoundSchedule(scenario, seed, base, float(content["segment_s"]), controls, offsets, gains)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{path}: not a kept schedule: {error!r}") from None


def schedule_file(folder: Path, scenario: str, seed: int) -> Path:
    """Where the schedule of an episode is kept."""
    return folder / f"{Path(scenario).stem}-{seed}.json"


def offsets_file(folder: Path, scenario: str) -> Path:
    """Where the offsets of a scenario are kept."""
    return folder / SCENARIOS / f"{Path(scenario).stem}.json"
