"""Every number of every configuration has a lower and an upper bound, which 64 bits and memory can bear."""

from __future__ import annotations

import importlib
import math
import pkgutil
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from pydantic import BaseModel

import streamflow_agents
import streamflow_env
import studies
from streamflow_env.system.schema import LONGEST_S, Frozen

MOST = 2**63 - 1


def models() -> list[type[Frozen]]:
    """All configuration classes there are."""
    for package in (streamflow_env, streamflow_agents, studies):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    found: list[type[Frozen]] = []
    waiting: list[type[Frozen]] = [Frozen]
    while waiting:
        kind = waiting.pop()
        found.append(kind)
        waiting += kind.__subclasses__()
    return sorted(set(found) - {Frozen}, key=lambda kind: (kind.__module__, kind.__name__))


def numbers(schema: Any) -> Iterator[tuple[float, float]]:
    """The bounds of each number in a part of pydantic's schema; infinity where there is none."""
    if isinstance(schema, list | tuple):
        for part in schema:
            yield from numbers(part)
    if not isinstance(schema, dict) or schema.get("type") in ("model", "definition-ref"):
        return
    function = schema.get("function", {}).get("function") if schema.get("type", "").startswith("function-") else None
    if isinstance(function, partial) and {"low", "high"} <= set(function.keywords):
        yield function.keywords["low"], function.keywords["high"]  # a range: see `as_range`
        return
    if schema.get("type") in ("int", "float"):
        low = max(schema.get("ge", -math.inf), schema.get("gt", -math.inf))
        yield low, min(schema.get("le", math.inf), schema.get("lt", math.inf))
    for key, part in schema.items():
        if key not in ("metadata", "default", "serialization"):
            yield from numbers(part)


def fields(kind: type[BaseModel]) -> dict[str, Any]:
    schema: Any = kind.__pydantic_core_schema__
    known: dict[str, Any] = {}
    while schema["type"] != "model-fields":
        known |= {part["ref"]: part for part in schema.get("definitions", ())}
        schema = known[schema["schema_ref"]] if schema["type"] == "definition-ref" else schema["schema"]
    return {name: field["schema"] for name, field in schema["fields"].items()}


def is_duration(name: str) -> bool:
    return name.endswith("_s") and not name.endswith("_per_s")


def unbounded(kind: type[BaseModel]) -> list[str]:
    return [
        f"{kind.__name__}.{name}: [{low}, {high}]"
        for name, schema in fields(kind).items()
        for low, high in numbers(schema)
        if not -MOST <= low <= high <= MOST
        or (name.endswith("_s") and not name.endswith("_per_s") and high > LONGEST_S)
    ]


@pytest.mark.parametrize("kind", models(), ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_every_number_is_bounded(kind: type[Frozen]) -> None:
    assert unbounded(kind) == []


def test_a_number_without_bounds_is_found() -> None:
    class Careless(Frozen):
        plain: int
        listed: dict[str, tuple[float | None, ...]] = {}  # noqa: RUF012 - pydantic copies it

    assert [line.split(":")[0] for line in unbounded(Careless)] == ["Careless.plain", "Careless.listed"]
