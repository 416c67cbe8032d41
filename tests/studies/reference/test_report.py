"""The page of the environment says what the code does."""

from __future__ import annotations

import re

import pytest

from streamflow_env.cells import Cell
from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.environment.rewards import REWARD_TERMS
from streamflow_env.paths import config_path
from streamflow_env.system import load_system
from streamflow_env.system.parameters import AT_ONCE, PARAMETERS, Parameter
from streamflow_env.system.schema import parse, read_yaml
from studies.reference.report import CELLS, PAGE, SCENARIOS_PAGE, SECTION, documented

SYSTEM = load_system()


def test_the_page_is_up_to_date() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert documented(page, load_system()) == page, "run make study NAME=reference"
    names = [name for _, name, _ in SECTION.findall(page)]
    assert names == ["actions", "observations", "groups", "rewards", "reward_fields", "ids", "metrics"]


def test_the_page_of_scenarios_has_the_ranges_of_the_cells() -> None:
    page = SCENARIOS_PAGE.read_text(encoding="utf-8")
    assert documented(page, SYSTEM) == page, "run make study NAME=reference"
    for name in CELLS:
        cell = parse(Cell, read_yaml(config_path("cells", name)), name)
        for path, variation in cell.system.items():
            ((kind, (low, high)),) = dict(variation).items()
            row = next(line for line in page.splitlines() if line.startswith(f"| `{path}`"))
            shown = [cell.strip() for cell in row.split("|")[3:5]]
            assert kind in shown[CELLS.index(name)]
            assert [float(x) for x in re.findall(r"[\d.]+", shown[CELLS.index(name)])] == [low, high]
            assert row.count("|") == 6
            assert len(row.split("|")[-2]) > 8, "it has a reason"


def test_the_page_has_gymnasiums_headings() -> None:
    docstring = StreamFlowEnv.__doc__ or ""
    headings = re.findall(r"^ *## (.+)$", docstring, re.MULTILINE)
    assert [
        h for h in re.findall(r"^## (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE) if h != "Info"
    ] == headings


@pytest.mark.parametrize("parameter", PARAMETERS.values(), ids=lambda parameter: parameter.name)
def test_every_cost_names_the_reward_terms_through_which_it_is_paid(parameter: Parameter) -> None:
    named = re.findall(r"`(\w+)`", parameter.cost)
    assert named
    assert set(named) <= set(REWARD_TERMS)


@pytest.mark.parametrize(
    ("name", "delay", "cost"),
    [
        ("engine_replicas", "more: after 90 s; fewer: after 60 s, and drained", "0.7 a replica and hour"),
        ("profile_db_read_replicas", "more: after 120 s; fewer: after 60 s, and drained", "0.4 a replica and hour"),
        ("cache_memory", AT_ONCE, "0.03 a thousand entries and hour"),
        ("cache_ttl", "at once, for entries written from then on", "free; long: `age`"),
        ("llm_ask", AT_ONCE, "the LLM's price a request"),
    ],
)
def test_delays_and_prices_are_the_systems(name: str, delay: str, cost: str) -> None:
    control = SYSTEM.controls[SYSTEM.control_table.names.index(name)]
    owner = SYSTEM.owners(control.sets)[control.of]
    assert control.sets.takes_effect_in(owner) == delay
    assert control.sets.cost_in(owner).startswith(cost)
