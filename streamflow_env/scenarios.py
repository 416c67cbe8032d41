"""Scenarios: traffic and timed incidents as data. Their numbers are drawn from ranges by a seed, for each episode.

`load_scenario(name).episode(system, seed)` is the interface: a pure function of system, scenario and seed. A `Timeline`
has a traffic and incidents; a `Mixture` draws one of several scenarios for each episode.
"""

from __future__ import annotations

import hashlib
import math
import operator
from abc import abstractmethod
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, PrivateAttr, model_validator

from streamflow_env.cells import Cell, load_cell
from streamflow_env.episode import BIN_S, Episode, Mark
from streamflow_env.errors import ConfigError
from streamflow_env.incidents import Extra, Incident, Outbreak, changes_of, check_slowdowns
from streamflow_env.paths import config_names, config_path
from streamflow_env.ranges import INCIDENT, MIXTURE, SIGN, stream
from streamflow_env.system import System
from streamflow_env.system.pinned_files import check_digest
from streamflow_env.system.schema import Frozen, Positive, PositiveSeconds, Seed, Text, parse, place, read_yaml
from streamflow_env.system.size import check_rates
from streamflow_env.traffic import Load, TraceTraffic, Traffic

NANOSECONDS: Final = 1e9
MAX_SEED: Final = 2**63 - 1


class Scenario(Frozen):
    """What can happen in an episode."""

    name: Text
    meaning: Text = Field(default="no description", description="one line for documentation and reports")
    _source: str = PrivateAttr(default="")

    @property
    def longest_s(self) -> float:
        """How long its longest episode is; infinity where that is not known."""
        return math.inf

    @abstractmethod
    def check(self, system: System) -> None:
        """Raises ConfigError, naming the key, where the scenario names what the system does not have."""

    @abstractmethod
    def episode(self, system: System, seed: int) -> Episode:
        """The episode number `seed` of this scenario.

        Raises:
            ConfigError: the scenario names what the system does not have, or the seed is not a whole number from 0.
        """

    def with_trace(self, trace: str | Path, **options: Any) -> Scenario:
        """This scenario under recorded traffic; see `Timeline.with_trace`."""
        raise ConfigError(f"scenario {self.name}: takes no trace; take scenario 'trace' (StreamFlow-Trace-v1) with it")


class Timeline(Scenario):
    """A traffic, and incidents in it, for `horizon_s` from t = 0."""

    horizon_s: PositiveSeconds
    traffic: Traffic
    incidents: tuple[Incident, ...] = Field(default=(), max_length=100)
    cell: Annotated[Cell | None, BeforeValidator(load_cell)] = None

    @model_validator(mode="after")
    def _check_times(self) -> Self:
        self.traffic.check(self.horizon_s)
        check_slowdowns(self.incidents)
        for index, incident in enumerate(self.incidents):
            if incident.start_s[1] >= self.horizon_s:
                raise ValueError(
                    f"incidents.{index}.start_s = {incident.start_s[1]}: must be below horizon_s = {self.horizon_s}"
                )
        return self

    @property
    def longest_s(self) -> float:
        return self.horizon_s

    def check(self, system: System) -> None:
        self._check_incidents(system)
        if self.cell is not None:
            self.cell.check(system)

    def _check_incidents(self, system: System) -> None:
        for index, incident in enumerate(self.incidents):
            try:
                incident.check(system)
            except ValueError as error:
                key = str(error).split(" ", 1)[0]
                where = place(self._source, ["incidents", index, key]) if self._source else f"scenario {self.name}"
                raise ConfigError(f"{where}: incidents.{index}.{incident.kind}.{error}") from None

    def episode(self, system: System, seed: int) -> Episode:
        return self.variation(system, seed, seed)

    def variation(self, system: System, seed: int, noise_seed: int) -> Episode:
        """Episode `seed` with other noise: what can be foreseen is that of `seed`, the rest that of `noise_seed`.

        The load can be foreseen, and the incidents that are announced or have a warning sign. Unannounced incidents,
        and the random draws of every request, are those of `noise_seed`. The cell is that of `seed`.

        Raises:
            ConfigError: the scenario names what the system does not have, or a seed is not a whole number from 0.
        """
        seed, noise_seed = _checked_seed(seed), _checked_seed(noise_seed)
        self._check_incidents(system)
        own = {} if self.cell is None else self.cell.draw(system, self.name, seed)
        zero_s = _zero_s(system)
        num_bins = int(np.ceil((zero_s + self.horizon_s) / BIN_S))
        middles_s = (np.arange(num_bins) + 0.5) * BIN_S - zero_s
        load = self.traffic.sample(seed, np.maximum(middles_s, 0.0), self.horizon_s)
        outbreaks = [self._outbreak(index, seed, noise_seed) for index in range(len(self.incidents))]
        effects = [effect for outbreak in outbreaks for effect in outbreak.effects]
        extras = [extra for outbreak in outbreaks for extra in outbreak.extras]
        marks = [*load.marks, *(mark for outbreak in outbreaks for mark in outbreak.marks)]
        announcements = [announcement for outbreak in outbreaks for announcement in outbreak.announcements]
        return Episode(
            scenario=self.name,
            seed=noise_seed,
            horizon_s=self.horizon_s,
            start_hour=load.start_hour,
            bin_ns=round(BIN_S * NANOSECONDS),
            rates_rps=self._rates(own.get("system") or system, load, extras),
            changes=changes_of(effects, zero_s, self.horizon_s),
            marks=_visible(marks, self.horizon_s),
            announcements=tuple(sorted(announcements, key=lambda a: (a.start_s, a.known_from_s, a.end_s))),
            **own,
        )

    def _rates(self, system: System, load: Load, extras: list[Extra]) -> NDArray[np.float64]:
        """`_rates`, checked against what can be simulated."""
        rates = _rates(system, load, extras)
        try:
            interactive = np.array(system.interactive)
            check_rates(system, float(rates.sum(axis=0).max()), float(rates[interactive].sum(axis=0).max()))
        except ValueError as error:
            raise ConfigError(f"{self._source or f'scenario {self.name}'}: traffic and incidents: {error}") from None
        return rates

    def with_trace(self, trace: str | Path, **options: Any) -> Timeline:
        """This scenario with a recorded traffic instead of its own.

        Args:
            trace: path of a CSV of time and requests, or of single events.
            options: `horizon_s`, and those of a trace: `start`, `median_level`, `max_level`, `events`, `event_bin_s`,
                `swings`, `surges`.

        Raises:
            ConfigError: as for the same keys in a file.
        """
        data = self.model_dump()
        data["horizon_s"] = options.pop("horizon_s", self.horizon_s)
        kept = data["traffic"] if isinstance(self.traffic, TraceTraffic) else {}
        data["traffic"] = {**kept, "start": None, "digest": None, **options, "kind": "trace", "trace": str(trace)}
        return parse(Timeline, data, f"scenario {self.name}")

    def _outbreak(self, index: int, seed: int, noise_seed: int) -> Outbreak:
        """Incident number `index` as it happens. Episode `seed` says whether it can be foreseen."""
        incident = self.incidents[index]
        has_sign = stream(seed, SIGN, index).random() < incident.sign_chance
        rng = stream(seed if has_sign else noise_seed, INCIDENT, index)
        return incident.sample(rng, has_sign) if rng.random() < incident.chance else Outbreak()


class Mixture(Scenario):
    """One of several scenarios for each episode: `members` gives their names (or files) and weights.

    A member that is a file is kept by its absolute path, and what it means by its SHA-256 in `digests`: a file that has
    changed since then is an error.

    Its episode `seed` is the episode `seed` of the drawn member, and has the name of that member. With a `cell` all
    members have that one instead of their own.
    """

    members: dict[Text, Positive] = Field(min_length=1)
    cell: Annotated[Cell | None, BeforeValidator(load_cell)] = None
    digests: dict[Text, Text] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _pin(cls, data: Any) -> Any:
        members = data.get("members") if isinstance(data, dict) else None
        if not isinstance(members, dict):
            return data
        files = {name: str(Path(name).resolve()) for name in members if _is_file(name)}
        digests = {path: _meaning_of(_read_member(path)) for path in files.values()}
        kept = data.get("digests")
        for path, digest in digests.items():
            check_digest(path, kept.get(path) if isinstance(kept, dict) else None, digest)
        return {**data, "members": {files.get(name, name): weight for name, weight in members.items()}} | (
            {"digests": digests} if digests else {}
        )

    @model_validator(mode="after")
    def _check_members(self) -> Self:
        _ = self.scenarios  # reading them checks them
        return self

    @cached_property
    def scenarios(self) -> tuple[Timeline, ...]:
        """The members, in order."""
        return tuple(self._member(name) for name in self.members)

    @property
    def longest_s(self) -> float:
        return max(scenario.longest_s for scenario in self.scenarios)

    def with_trace(self, trace: str | Path, **options: Any) -> Timeline:
        raise ConfigError(
            f"scenario {self.name}: a mixture takes no trace; take scenario 'trace' (StreamFlow-Trace-v1) with it,"
            f" or one of its members: {', '.join(self.members)}"
        )

    def check(self, system: System) -> None:
        for scenario in self.scenarios:
            scenario.check(system)

    def episode(self, system: System, seed: int) -> Episode:
        weights = np.array(list(self.members.values()))
        pick = stream(_checked_seed(seed), MIXTURE).random() * weights.sum()
        index = min(int(np.searchsorted(np.cumsum(weights), pick, side="right")), len(weights) - 1)
        return self.scenarios[index].episode(system, seed)

    def _member(self, name: str) -> Timeline:
        timeline = _read_member(name)
        return timeline if self.cell is None else timeline.model_copy(update={"cell": self.cell})


def _read_member(name: str) -> Timeline:
    path = config_path("scenarios", name)
    data = _whole(read_yaml(path))
    if isinstance(data, dict) and "members" in data:
        raise ValueError(f"members.{name}: must not be a mixture itself")
    timeline = parse(Timeline, data, str(path))
    timeline._source = str(path)
    return timeline


def _meaning_of(scenario: Scenario) -> str:
    """The SHA-256 of all that a scenario says, its cell and the digest of its trace among it."""
    return hashlib.sha256(scenario.model_dump_json().encode()).hexdigest()


def _is_file(name: Any) -> bool:
    """Whether a member is given by the path of a file, not by the name of a shipped scenario."""
    return isinstance(name, str) and name not in config_names("scenarios") and Path(name).is_file()


class Foreseen(Scenario):
    """One episode of a timeline with other noise in each episode: its seed is the noise seed of `variation`."""

    timeline: Timeline
    of_seed: Seed

    @property
    def horizon_s(self) -> float:
        return self.timeline.horizon_s

    @property
    def longest_s(self) -> float:
        return self.horizon_s

    def check(self, system: System) -> None:
        self.timeline.check(system)

    def episode(self, system: System, seed: int) -> Episode:
        return self.timeline.variation(system, self.of_seed, seed)


def load_scenario(source: str | Path | dict[str, Any] | Scenario) -> Scenario:
    """A scenario by the name of a shipped one, by the path of a YAML file, or from its content.

    Raises:
        ConfigError: naming file, key, value and what is allowed.
    """
    if isinstance(source, Scenario):
        return source
    if isinstance(source, dict):
        return _parse(_whole(source), f"scenario {source.get('name', '(no name)')}")
    path = config_path("scenarios", source)
    return _parse(_whole(read_yaml(path)), str(path))


def _whole(data: Any, seen: tuple[Path, ...] = ()) -> Any:
    """`data` with what it leaves to the scenario that it is `like`: all keys but name and meaning."""
    if not isinstance(data, dict) or "like" not in data:
        return data
    path = config_path("scenarios", data["like"])
    if path in seen:
        raise ConfigError(f"{path}: like: must not lead back to the same file")
    other = _whole(read_yaml(path), (*seen, path))
    if not isinstance(other, dict):
        return other
    own = {key: value for key, value in data.items() if key != "like"}
    return {key: value for key, value in other.items() if key not in ("name", "meaning")} | own


def _parse(data: Any, name: str) -> Scenario:
    is_mixture = isinstance(data, dict) and "members" in data
    scenario = parse(Mixture, data, name) if is_mixture else parse(Timeline, data, name)
    scenario._source = name
    return scenario


def scenario_names() -> list[str]:
    """The names of the shipped scenarios."""
    return config_names("scenarios")


def _checked_seed(seed: int) -> int:
    try:
        number = operator.index(seed)
    except TypeError:
        number = -1
    if not 0 <= number <= MAX_SEED:
        raise ConfigError(f"seed = {seed!r}: must be a whole number in [0, {MAX_SEED}]")
    return number


def _zero_s(system: System) -> float:
    """Where t = 0 lies on the engine's clock: at the end of the warm-up, which is simulated in whole intervals."""
    return math.ceil(system.warmup_s / system.control_interval_s - 1e-9) * system.control_interval_s


def _rates(system: System, load: Load, extras: list[Extra]) -> NDArray[np.float64]:
    """First attempts, shape (num_classes, num_bins). Background classes keep their normal rate at every load."""
    num_bins = load.levels.size
    rates = np.empty((len(system.classes), num_bins))
    for row, request_class in zip(rates, system.classes.values(), strict=True):
        row[:] = request_class.normal_rate_rps * (load.levels if request_class.kind == "interactive" else 1.0)
    edges_s = np.arange(num_bins + 1) * BIN_S - _zero_s(system)
    for extra in extras:
        rates[system.class_names.index(extra.request_class)] += np.diff(extra.come(edges_s)) / BIN_S
    return rates


def _visible(marks: list[Mark], horizon_s: float) -> tuple[Mark, ...]:
    """The marks that lie in the episode, cut off at its end, in order of time."""
    inside = [Mark(m.label, m.start_s, min(m.end_s, horizon_s)) for m in marks if m.start_s < horizon_s]
    return tuple(sorted(inside, key=lambda mark: (mark.start_s, mark.end_s, mark.label)))
