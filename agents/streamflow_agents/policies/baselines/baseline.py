"""The baselines' class: a policy with Stable-Baselines3's `predict`, written in natural units, for one cell or many.

A baseline is settings, and parts that change some of them in turn; a later part overrides an earlier one. It holds no
state. What it must remember of an episode is in `state`, like the hidden state of a recurrent policy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from streamflow_agents.policies.baselines.desk import Desk, Rows, rows
from streamflow_agents.policies.baselines.parts import Part
from streamflow_env.environment.observations import ObservationTable
from streamflow_env.errors import ConfigError
from streamflow_env.system import System


class State(NamedTuple):
    """What a baseline remembers: of so many cells, the memory of each part, arrays whose last axis is the cells."""

    num_cells: int
    memories: tuple[Any, ...]


class Baseline:
    """`settings`, the other controls at their defaults, adjusted by parts; each control is kept within its range.

    Args:
        settings: by control name, natural units.
        make_parts: makes the parts at a desk, in the order in which they act.

    Attributes:
        settings: the settings before the parts change them, in natural units, shape (num_controls,).
        numbers: every number that `predict` can move, by its path in the baseline's file, as it is where not moved.

    Raises:
        ConfigError: the system lacks a control, or a value is out of its range.
    """

    def __init__(
        self,
        system: System,
        table: ObservationTable,
        settings: Mapping[str, float],
        make_parts: Callable[[Desk], Sequence[Part[Any]]] = lambda desk: (),
    ) -> None:
        self.system = system
        self.table = table
        self.controls = system.control_table
        self.settings = self.controls.with_values(**settings)
        desk = Desk(system, table)
        wanted = {**dict(zip(self.controls.names, self.controls.default, strict=True)), **settings}
        self._setting_rows = rows(desk.number(f"settings/{name}", value) for name, value in wanted.items())
        self.parts = tuple(make_parts(desk))
        self.numbers: Mapping[str, float] = desk.numbers
        self._numbers = np.array(list(self.numbers.values()))[:, None]
        self._number_rows = {path: row for row, path in enumerate(self.numbers)}
        self._decode = table.decoder(desk.readings)

    def predict(
        self,
        observation: NDArray[np.floating],
        state: State | None = None,
        episode_start: ArrayLike | None = None,
        deterministic: bool = True,
        numbers: Mapping[str, ArrayLike] | None = None,
    ) -> tuple[NDArray[np.float32], State]:
        """The action for an observation of shape (size,), or the actions for a batch of shape (n, size).

        `state` is what the last call returned; where `episode_start` is true it is forgotten. `numbers` moves some of
        `self.numbers`, for this call: by path one number for all cells, or one for each, shape (n,).

        Raises:
            ConfigError: an observation, state, episode_start or number of the wrong shape, or an unknown path.
        """
        observation = np.asarray(observation)
        if observation.ndim not in (1, 2) or observation.shape[-1] != self.table.size:
            raise ConfigError(
                f"observation has shape {observation.shape}, must be ({self.table.size},) or a batch of it"
            )
        batch = np.atleast_2d(observation)
        memories = self._memories(len(batch), state, episode_start)
        moved = self._moved(len(batch), numbers) if numbers else self._numbers
        settings = np.empty((len(self.controls), len(batch)))
        settings[:] = moved[self._setting_rows]
        readings = self._decode(batch)
        remembered = tuple(
            part.adjust(settings, readings, moved, memory) for part, memory in zip(self.parts, memories, strict=True)
        )
        actions = np.ascontiguousarray(self.controls.action(settings.T))
        return actions if observation.ndim == 2 else actions[0], State(len(batch), remembered)

    def _memories(self, num_cells: int, state: State | None, episode_start: ArrayLike | None) -> tuple[Any, ...]:
        starts = np.zeros(num_cells, bool) if episode_start is None else np.atleast_1d(np.asarray(episode_start, bool))
        for name, given in (("state", num_cells if state is None else state.num_cells), ("episode_start", len(starts))):
            if given != num_cells:
                raise ConfigError(f"{name} is for {given} environments, the observation for {num_cells}")
        if state is not None and not starts.any():
            return state.memories
        fresh = tuple(part.begin(num_cells) for part in self.parts)
        if state is None or starts.all():
            return fresh
        return tuple(_choose(starts, *both) for both in zip(fresh, state.memories, strict=True))

    def _moved(self, num_cells: int, numbers: Mapping[str, ArrayLike]) -> Rows:
        moved = np.repeat(self._numbers, num_cells, axis=1)
        for path, given in numbers.items():
            values = np.asarray(given, dtype=np.float64)
            if path not in self._number_rows:
                raise ConfigError(
                    f"number {path!r}: the policy has none of this path; these begin alike: {self._like(path)}"
                )
            if values.shape not in ((), (num_cells,)) or not np.isfinite(values).all():
                raise ConfigError(f"number {path!r}: must be finite, one or {num_cells}; has shape {values.shape}")
            moved[self._number_rows[path]] = values
        return moved

    def _like(self, path: str) -> str:
        return ", ".join(known for known in self.numbers if known.split("/")[0] == path.split("/")[0]) or "none"


def _choose(starts: NDArray[np.bool_], fresh: Any, memory: Any) -> Any:
    """The memory, but `fresh` in the cells that start; a memory is None, an array or a tuple of memories."""
    if memory is None:
        return None
    if not isinstance(memory, tuple):
        return np.where(starts, fresh, memory)
    chosen = [_choose(starts, *both) for both in zip(fresh, memory, strict=True)]
    return type(memory)(*chosen) if hasattr(memory, "_fields") else tuple(chosen)
