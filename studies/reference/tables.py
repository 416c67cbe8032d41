"""Writes the tables of docs/reference/environment.md from the code: `python -m studies.reference.tables [--check]`."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from streamflow_env import ENV_IDS, SCENARIOS
from streamflow_env.environment.accounting import ATTEMPT_ENDS, FAILURES
from streamflow_env.environment.metrics import MetricTable
from streamflow_env.environment.observations import Field, ObservationTable
from streamflow_env.environment.rewards import REWARD_TERMS
from streamflow_env.paths import config_path
from streamflow_env.scenarios import load_scenario
from streamflow_env.system import Control, System, load_system

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "reference" / "environment.md"
SECTION: Final = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
WEIGHT: Final = re.compile(r"^(\w+): *(\S+) *# *(.+)$", re.MULTILINE)


def documented(page: str, system: System) -> str:
    """`page` with each table between `<!-- table: NAME -->` and `<!-- end -->` as the code has it now."""
    tables = {
        "ids": _ids(),
        "actions": _actions(system),
        "observations": _observations(system),
        "rewards": _rewards(),
        "metrics": _metrics(system),
    }
    return SECTION.sub(lambda match: f"{match[1]}{tables[match[2]]}{match[3]}", page)


def _ids() -> str:
    scenarios = ("mixed", *SCENARIOS)
    rows = [(f"`{i}`", s, load_scenario(s).meaning) for i, s in zip(ENV_IDS, scenarios, strict=True)]
    return _table(("id", "scenario", "what happens"), rows)


def _actions(system: System) -> str:
    default = system.control_table.default
    rows = [
        (c.name, c.unit, *_numbers(c.low, c.high), c.scale, *_numbers(value), c.meaning, *_takes(c, system))
        for c, value in zip(system.controls, default, strict=True)
    ]
    head = ("control", "unit", "at -1", "at +1", "scale", "default", "meaning", "takes effect", "costs")
    return _table(head, rows)


def _numbers(*values: float) -> tuple[str, ...]:
    return tuple(f"{value:g}" for value in values)


def _takes(control: Control, system: System) -> tuple[str, str]:
    """When it takes effect and what it costs."""
    owner = system.owners(control.sets)[control.of]
    return control.sets.takes_effect_in(owner), control.sets.cost_in(owner)


def _observations(system: System) -> str:
    rows = [
        (str(index), f.name, f.unit, f"{f.low:g}", f"{f.high:g}", _scale(f), f.meaning, _short(f.formula))
        for index, f in enumerate(ObservationTable(system).fields)
    ]
    return _table(("#", "field", "unit", "low", "high", "scale", "meaning", "read off"), rows)


def _rewards() -> str:
    weights = WEIGHT.findall(config_path("reward", "default").read_text(encoding="utf-8"))
    rows = [(name, value, REWARD_TERMS.get(name, "setting"), reason) for name, value, reason in weights]
    return _table(("weight", "default", "what it weighs", "why"), rows)


def _metrics(system: System) -> str:
    """One row a metric; metrics of services that differ in the service alone share one."""
    services: dict[tuple[str, str, str, str], list[str]] = {}
    for metric in MetricTable(system).metrics:
        stem, _, service = metric.name.partition(".")
        name = f"{stem}.SERVICE" if service in system.services else metric.name
        key = (name, metric.unit, metric.meaning, _short(metric.reading.formula))
        services.setdefault(key, []).extend([service] if service in system.services else [])
    return _table(
        ("metric", "unit", "meaning", "read off", "services"),
        [(*key, ", ".join(names)) for key, names in services.items()],
    )


def _scale(field: Field) -> str:
    return f"log, knee {field.knee:g}" if field.scale == "log" else field.scale


def _short(formula: str) -> str:
    """The formula as code, with the sums that come often under one name."""
    formula = formula.replace(" + ".join(ATTEMPT_ENDS), "ended").replace(" + ".join(FAILURES), "failed_…")
    return f"`{formula.replace('(ended)', 'ended').replace('(failed_…)', 'failed_…')}`"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines)


def main() -> int:
    """Write the page, or with `--check` only say whether it is up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page is out of date")
    arguments = parser.parse_args()
    page = PAGE.read_text(encoding="utf-8")
    new = documented(page, load_system())
    if arguments.check:
        print(f"{PAGE}: {'up to date' if new == page else 'out of date'}")
        return int(new != page)
    PAGE.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
