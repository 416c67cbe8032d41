"""The page of the environment says what the code does."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.environment.levers import AT_ONCE, COSTS, cost_of, delay_of
from streamflow_env.environment.rewards import REWARD_TERMS
from streamflow_env.system import load_system
from streamflow_env.system.controls import Parameter
from studies.reference.report import PAGE, SECTION, documented

SYSTEM = load_system()
PRICED = {"replicas", "read_replicas", "memory_entries"}


def test_the_page_is_up_to_date() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert documented(page, load_system()) == page, "run make study NAME=reference"
    assert [name for _, name, _ in SECTION.findall(page)] == ["actions", "observations", "rewards", "ids", "metrics"]


def test_the_page_has_gymnasiums_headings() -> None:
    docstring = StreamFlowEnv.__doc__ or ""
    headings = re.findall(r"^ *## (.+)$", docstring, re.MULTILINE)
    assert [
        h for h in re.findall(r"^## (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE) if h != "Info"
    ] == headings


def test_every_parameter_has_a_price_or_is_paid_through_the_reward() -> None:
    assert set(get_args(Parameter)) == {*COSTS, *PRICED}
    for text in COSTS.values():
        named = re.findall(r"`(\w+)`", text)
        assert named, "names the reward terms"
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
    assert delay_of(control, SYSTEM) == delay
    assert cost_of(control, SYSTEM).startswith(cost)
