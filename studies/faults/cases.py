"""The trials: every field of every kind of configuration, put to every wrong or extreme value."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from streamflow_agents.policies.baselines.expert import ExpertSettings
from streamflow_agents.policies.baselines.keda import KedaSettings
from streamflow_agents.policies.baselines.static import Playbook
from streamflow_env.environment.rewards import load_reward
from streamflow_env.paths import config_names, config_path
from streamflow_env.scenarios import load_scenario
from streamflow_env.system import load_system
from streamflow_env.system.schema import load, read_yaml
from studies.common.study import STUDIES

NAME: Final = "faults"
EVERYTHING: Final = STUDIES / NAME / "everything.yaml"
VALUES: Final[dict[str, Any]] = {
    "0": 0, "tiny": 5e-324, "small": 1e-9, "negative": -1, "huge": 1e12, "whole and huge": 10**30, "the largest": 1e300,
    "inf": math.inf, "nan": math.nan, "text": "auth", "flag": True, "list": ["auth"], "empty list": [], "mapping": {},
    "null": None,
}  # fmt: skip
"""What each field is put to."""
Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Case:
    """One trial: the kind of configuration, the field and the name of the value that it is put to."""

    kind: str
    path: Path
    value: str

    @property
    def field(self) -> str:
        """The path as a text."""
        return ".".join(map(str, self.path))

    def content(self) -> Any:
        """The configuration with this one fault."""
        data = copy.deepcopy(whole(self.kind))
        part = data
        for key in self.path[:-1]:
            part = part[key]
        part[self.path[-1]] = VALUES[self.value]
        return data


_WHOLE: dict[str, Any] = {}


def kinds() -> tuple[str, ...]:
    """The kinds of configuration, each with all its fields."""
    trained = tuple(f"training/{name}" for name in config_names("training"))
    return ("system", "ramps", "daily", "trace", "reward", "playbook", "expert", "keda", "panels", *trained)


def whole(kind: str) -> Any:
    """A valid configuration of this kind; fields that it leaves to their defaults are in it too."""
    if kind not in _WHOLE:
        _WHOLE[kind] = _whole(kind)
    return _WHOLE[kind]


@cache
def parts() -> Any:
    """What `everything.yaml` holds."""
    return read_yaml(EVERYTHING)


def _whole(kind: str) -> Any:
    if kind == "system":
        return load_system(parts()["system"]).model_dump(mode="json")
    if kind in ("ramps", "daily", "trace"):
        return load_scenario(parts()[kind]).model_dump(mode="json")
    if kind == "reward":
        return load_reward().model_dump(mode="json")
    models: dict[str, Any] = {"playbook": Playbook, "expert": ExpertSettings, "keda": KedaSettings}
    if kind in models:
        return load(models[kind], config_path("baselines", kind)).model_dump(mode="json")
    folder, _, name = kind.partition("/")
    return read_yaml(config_path(folder, name) if name else config_path("evaluation", kind))


def cases() -> Iterator[Case]:
    """All trials. Of a list's elements that have the same keys only the first is tried."""
    for kind in kinds():
        for path in _paths(whole(kind), ()):
            for value in VALUES:
                yield Case(kind, path, value)


def _paths(part: Any, at: Path) -> Iterator[Path]:
    if at:
        yield at
    if isinstance(part, dict):
        for key, value in part.items():
            yield from _paths(value, (*at, key))
    elif isinstance(part, list):
        seen: set[Any] = set()
        for index, value in enumerate(part):
            form = tuple(value) if isinstance(value, dict) else type(value)
            form = (form, value.get("kind")) if isinstance(value, dict) else form
            if form not in seen:
                seen.add(form)
                yield from _paths(value, (*at, index))
