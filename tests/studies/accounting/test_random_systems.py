"""Random systems are valid, the same for a seed, and leave nothing out that a system file can say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from streamflow_env.system.parameters import PARAMETERS, Parameter
from studies.accounting.random_systems import random_system

SYSTEMS = [random_system(seed) for seed in range(150)]
WORDS = {
    "System.name", "Users.entry", "Control.meaning", "TokenLatency.trace", "TokenLatency.input_column",
    "TokenLatency.output_column", "TokenLatency.digest",
}  # fmt: skip
"""What may always be the same, for it only names something."""


def fields_of(part: Any, where: str) -> Iterator[tuple[str, Any]]:
    """(kind of part and field, value) of every model within `part`."""
    if isinstance(part, BaseModel):
        kind = getattr(part, "kind", type(part).__name__)
        for name in type(part).model_fields:
            value = getattr(part, name)
            yield f"{kind}.{name}", value
            yield from fields_of(value, f"{kind}.{name}")
    elif isinstance(part, dict | tuple):
        for value in part.values() if isinstance(part, dict) else part:
            yield from fields_of(value, where)


def test_a_seed_says_which() -> None:
    assert random_system(7) == random_system(7) != random_system(8)


def test_every_field_that_a_system_has_takes_several_values() -> None:
    """A field that was added to a system, and not to the random ones, would show one value: its default."""
    values: defaultdict[str, set[str]] = defaultdict(set)
    for system in SYSTEMS:
        for name, value in fields_of(system, "System"):
            values[name].add(repr(value))
    same = {name for name, found in values.items() if len(found) == 1 and not name.endswith(".kind")}
    assert same == WORDS


@pytest.mark.parametrize("parameter", PARAMETERS.values(), ids=lambda parameter: parameter.name)
def test_every_parameter_is_controlled(parameter: Parameter) -> None:
    controls = [c for system in SYSTEMS for c in system.controls if c.parameter == parameter.name]
    assert controls
    assert {c.off_at_high for c in controls} == ({True, False} if parameter.can_be_off else {False})
    assert {c.scale for c in controls} == {"linear", "log"}
