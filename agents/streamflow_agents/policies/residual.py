"""A residual on a baseline: a network moves some of its settings and numbers, and the baseline does the rest.

The network's action has an axis in [-1, 1] for each moved control, then one for each moved number:

- A control: the baseline's action on its axis, plus `scale` times the residual, kept within [-1, 1].
- A number of the baseline: the number times exp(`scale` times the residual). So it must be above 0, and keeps its sign.

A residual of 0 is the baseline, bit for bit. The network sees fields of the observation, the baseline's own action on
the moved controls, and, if asked for, moving averages of the fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from gymnasium import spaces
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from streamflow_agents.policies.baselines import is_baseline, make_baseline
from streamflow_agents.policies.protocol import Policy
from streamflow_env.environment.observations import ObservationTable
from streamflow_env.errors import ConfigError
from streamflow_env.system import System
from streamflow_env.system.schema import Frozen, Positive, PositiveSeconds, Text

Floats = NDArray[np.float32]

KEY: Final = "residual"
"""Where the settings are in a file of hyperparameters."""


class ResidualSettings(Frozen):
    """What a network moves, on what, and what it sees.

    Attributes:
        base: a baseline's name.
        controls: by control, how far a residual of 1 moves it, in units of its axis [-1, 1].
        numbers: by path of the baseline, the logarithm of the factor that a residual of 1 moves it by.
        fields: of the observation, what the network sees; None is all of it.
        memory_half_lives_s: it also sees a moving average of each field for each of these half-lives.
    """

    base: Text
    controls: dict[Text, Positive] = Field(default_factory=dict)
    numbers: dict[Text, Positive] = Field(default_factory=dict)
    fields: tuple[Text, ...] | None = Field(default=None, min_length=1)
    memory_half_lives_s: tuple[PositiveSeconds, ...] = ()


class Base(Protocol):
    """What a residual can be on: `Baseline`, as far as it is needed here."""

    @property
    def numbers(self) -> Mapping[str, float]: ...

    def predict(
        self,
        observation: NDArray[np.floating],
        state: Any = None,
        episode_start: ArrayLike | None = None,
        deterministic: bool = True,
        numbers: Mapping[str, ArrayLike] | None = None,
    ) -> tuple[Floats, Any]: ...


class ResidualState(NamedTuple):
    """What is remembered of an episode: the baseline's state, and the averages, shape (cells, half-lives, fields)."""

    base: Any
    averages: Floats


class Look(NamedTuple):
    """A step before the network acts: its `inputs`, shape (cells, size), and what `Residual.act` goes on with."""

    inputs: Floats
    observations: Floats
    starts: NDArray[np.bool_]
    before: Any
    own_actions: Floats
    state: ResidualState


class Residual:
    """`settings` on `base`, for an observation of `fields` and an action on `controls`. It holds no state.

    Attributes:
        size: of what the network sees.
        names: of what the network moves, in the order of its action: controls, then numbers.
        observation_space: of what the network sees.
        action_space: of the network, an axis for each of `names`.

    Raises:
        ConfigError: nothing is moved; a field, control or number that is not there; a number that is not above 0.
    """

    def __init__(
        self,
        settings: ResidualSettings,
        base: Base,
        fields: Sequence[str],
        controls: Sequence[str],
        control_interval_s: float,
    ) -> None:
        self.base = base
        self._fields = np.array(
            [_index(name, fields, "fields", "the observation") for name in settings.fields or fields], dtype=np.intp
        )
        self._controls = np.array(
            [_index(name, controls, "controls", "the system") for name in settings.controls], dtype=np.intp
        )
        self._numbers = {path: _positive(path, base.numbers, settings.base) for path in settings.numbers}
        self.names = (*settings.controls, *settings.numbers)
        if not self.names:
            raise ConfigError(f"{KEY}.controls: must name a control, or {KEY}.numbers a number: nothing is moved")
        self._control_scales = np.array(list(settings.controls.values()), dtype=np.float32)
        self._number_scales = np.array(list(settings.numbers.values()), dtype=np.float64)
        half_lives = np.array(settings.memory_half_lives_s, dtype=np.float64)
        self._weights = (1.0 - 0.5 ** (control_interval_s / half_lives)).astype(np.float32)[:, None]
        self.size = len(self._fields) * (1 + len(half_lives)) + len(self._controls)
        self.observation_space = spaces.Box(-np.inf, np.inf, (self.size,), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (len(self.names),), np.float32)

    def look(self, observations: Floats, state: ResidualState | None, starts: NDArray[np.bool_]) -> Look:
        """What the network sees, of observations of shape (cells, size); a cell that starts forgets its state."""
        before = None if state is None else state.base
        own_actions, after = self.base.predict(observations, before, starts)
        seen = observations[:, self._fields].astype(np.float32)
        averages = np.repeat(seen[:, None], len(self._weights), axis=1)
        if state is not None:
            going_on = state.averages + self._weights * (averages - state.averages)
            averages = np.where(starts[:, None, None], averages, going_on)
        inputs = np.concatenate((seen, own_actions[:, self._controls], averages.reshape(len(seen), -1)), axis=1)
        return Look(inputs, observations, starts, before, own_actions, ResidualState(after, averages))

    def act(self, look: Look, residuals: Floats) -> tuple[Floats, ResidualState]:
        """The actions, and the state to hand in at the next `look`; `residuals` has the shape (cells, moved)."""
        residuals = np.clip(residuals, -1.0, 1.0).astype(np.float32)
        of_controls, of_numbers = np.split(residuals, [len(self._controls)], axis=1)
        actions, state = look.own_actions, look.state
        if self._numbers:
            factors = np.exp(of_numbers * self._number_scales)
            moved = {path: value * factors[:, row] for row, (path, value) in enumerate(self._numbers.items())}
            actions, base_state = self.base.predict(look.observations, look.before, look.starts, numbers=moved)
            state = state._replace(base=base_state)
        actions = actions.copy()
        own = actions[:, self._controls]
        pushed = np.clip(own + of_controls * self._control_scales, -1.0, 1.0)
        actions[:, self._controls] = np.where(of_controls == 0.0, own, pushed)  # so that -0.0 stays -0.0
        return actions, state


class ResidualPolicyState(NamedTuple):
    """The state of the residual, and that of the network."""

    residual: ResidualState
    network: Any


class ResidualPolicy:
    """`residual` with a trained `network` that says how to move: a policy for one observation or a batch."""

    def __init__(self, residual: Residual, network: Policy) -> None:
        self._residual = residual
        self._network = network

    def predict(
        self,
        observation: Floats,
        state: ResidualPolicyState | None = None,
        episode_start: NDArray[Any] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[Any], ResidualPolicyState]:
        """As `Policy.predict`."""
        batch = np.atleast_2d(np.asarray(observation))
        starts = np.zeros(len(batch), bool) if episode_start is None else np.atleast_1d(np.asarray(episode_start, bool))
        mine, others = (None, None) if state is None else state
        look = self._residual.look(batch, mine, starts)
        residuals, others = self._network.predict(look.inputs, others, starts, deterministic)
        actions, mine = self._residual.act(look, residuals)
        return (actions if np.ndim(observation) == 2 else actions[0]), ResidualPolicyState(mine, others)


def make_residual(settings: ResidualSettings, system: System, table: ObservationTable) -> Residual:
    """The residual on a shipped baseline for `system`. Raises ConfigError, also for an unknown baseline."""
    if not is_baseline(settings.base):
        raise ConfigError(f"{KEY}.base {settings.base!r}: must be the name of a baseline")
    base = make_baseline(settings.base, system, table)
    return Residual(settings, base, table.names, system.control_table.names, system.control_interval_s)


def _index(name: str, known: Sequence[str], key: str, owner: str) -> int:
    if name not in known:
        raise ConfigError(f"{KEY}.{key}.{name}: {owner} has none of this name")
    return list(known).index(name)


def _positive(path: str, numbers: Mapping[str, float], base: str) -> float:
    if path not in numbers:
        alike = ", ".join(known for known in numbers if known.split("/")[0] == path.split("/")[0]) or "none"
        raise ConfigError(f"{KEY}.numbers.{path}: {base} has none of this path; these begin alike: {alike}")
    if numbers[path] <= 0.0:
        raise ConfigError(f"{KEY}.numbers.{path}: is {numbers[path]:g} in {base}; must be above 0 to move by a factor")
    return numbers[path]
