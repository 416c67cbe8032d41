"""What a study is: a folder with `plan.yaml`, `run.py`, and `data/`, which holds what a run kept.

`plan.yaml` begins with a `study` part: what the study reads and writes, how long it takes. What else it holds is the
study's own. `run.py` has a dataclass `Arguments`, which is the command line, and a function `run(arguments)`, which
returns the exit status. Every path is found from the repository's root, never from the current folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TypeVar

from pydantic import BaseModel

from streamflow_agents.arguments import argument
from streamflow_env.errors import ConfigError
from streamflow_env.system.schema import Frozen, Text, parse, read_yaml

ROOT: Final = Path(__file__).resolve().parents[2]
STUDIES: Final = ROOT / "studies"
REPORTS: Final = ROOT / "docs" / "reports"
QUICK: Final = ROOT / "results" / "quick"
PLAN: Final = "plan.yaml"

Model = TypeVar("Model", bound=BaseModel)


class Header(Frozen):
    """The `study` part of a plan. Paths are relative to the repository's root; `data` is the study's own folder."""

    about: Text
    reads: tuple[Text, ...] = ()
    optional: tuple[Text, ...] = ()
    """What is read where it is there: what another study has kept, or left in `runs/`."""
    writes: tuple[Text, ...] = ()
    takes: Text
    quick_takes: Text


@dataclass(frozen=True)
class StudyArguments:
    """The options that every study has."""

    quick: bool = argument(False, "a trial of a minute or two: few and short runs, written to results/quick")
    jobs: int = argument(2, "processes that share the work")
    progress: bool = argument(True, "show a progress bar")

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise ConfigError(f"jobs {self.jobs}: must be at least 1")


@dataclass(frozen=True)
class Outputs:
    """Where a run writes: what it keeps, its page, and the folder of the page's pictures."""

    data: Path
    page: Path

    @property
    def pictures(self) -> Path:
        """The folder of the page's pictures; it has the page's name."""
        return self.page.with_suffix("")


def study_names() -> list[str]:
    """The names of all studies, in alphabetical order."""
    return sorted(path.parent.name for path in STUDIES.glob(f"*/{PLAN}"))


def header(name: str) -> Header:
    """The `study` part of the plan of the study `name`. Raises ConfigError: no such study, or a wrong plan."""
    return parse(Header, _plan(name).get("study", {}), f"{STUDIES / name / PLAN}: study")


def load_plan(model: type[Model], name: str) -> Model:
    """What the plan of the study `name` holds beside its `study` part, as a `model`. Raises ConfigError."""
    rest = {key: value for key, value in _plan(name).items() if key != "study"}
    return parse(model, rest, str(STUDIES / name / PLAN))


def program(name: str) -> ModuleType:
    """The module `run.py` of the study `name`. Raises ConfigError: there is no such study."""
    _plan(name)
    return import_module(f"studies.{name}.run")


def outputs(name: str, quick: bool = False, page: str | None = None) -> Outputs:
    """Where the study `name` writes; a `quick` run leaves what the repository holds as it is.

    `page` is the page's name where it is not the study's.
    """
    data, reports = (QUICK / name / "data", QUICK / name) if quick else (kept(name), REPORTS)
    return Outputs(data, reports / f"{page or name}.md")


def kept(name: str) -> Path:
    """The folder of what the study `name` kept in the repository."""
    return STUDIES / name / "data"


def _plan(name: str) -> dict[str, Any]:
    path = STUDIES / name / PLAN
    if not path.is_file():
        raise ConfigError(f"study {name!r}: must be one of {', '.join(study_names())}")
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: must be a mapping")
    return content
