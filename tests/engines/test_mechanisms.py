"""docs/reference/mechanisms.md is true: its modules, functions, sections and tests exist, and none is missing."""

from __future__ import annotations

import ast
import json
import re
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import pytest

PROJECT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = PROJECT / "docs" / "reference" / "mechanisms.md"
MODEL: Final = PROJECT / "docs" / "reference" / "model.md"
ENGINES: Final = PROJECT / "streamflow_env" / "engines"
VERDICTS: Final = PROJECT / "studies" / "mutants" / "data" / "mutants.json"
NO_MUTANT: Final = "†"


def table(*columns: str) -> list[list[str]]:
    """The rows of the table with these columns on the page; code marks are removed."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    start = lines.index("| " + " | ".join(columns) + " |") + 2
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip().replace("`", "") for cell in line.strip("|").split(" | ")])
    assert rows
    assert all(len(row) == len(columns) for row in rows)
    return rows


class Mechanism(NamedTuple):
    """A row of the first table. `section` is a link; `reference` and `compiled` are a module and a name in it."""

    name: str
    section: str
    reference: str
    compiled: str
    test: str


class Shared(NamedTuple):
    """A row of the table of what both engines use."""

    name: str
    section: str
    module: str
    test: str


MECHANISMS: Final = [
    Mechanism(*row) for row in table("mechanism", "model", "reference engine", "compiled engine", "test")
]
SHARED: Final = [Shared(*row) for row in table("mechanism", "model", "module", "test")]
DIFFERENT: Final = {name for name, _ in table("mechanism", "why")}
PLUMBING: Final = table("module", "engine", "what it has")
IMPLEMENTATIONS: Final = [
    *(f"{engine}.{getattr(row, engine)}" for row in MECHANISMS for engine in ("reference", "compiled")),
    *(row.module for row in SHARED),
]


def anchor_of(heading: str) -> str:
    """The anchor that Markdown gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def module_of(implementation: str) -> str:
    return implementation.split(".")[0]


@cache
def names_in(path: Path) -> frozenset[str]:
    """All functions and classes of a file, methods as `Class.method`."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{method.name}" for method in node.body if isinstance(method, ast.FunctionDef)}
    return frozenset(names)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_the_implementation_exists(implementation: str) -> None:
    parts = implementation.split(".")
    for length in range(len(parts) - 1, 0, -1):
        path = ENGINES.joinpath(*parts[:length]).with_suffix(".py")
        if path.is_file():
            assert ".".join(parts[length:]) in names_in(path)
            return
    pytest.fail(f"{implementation}: no such module")


@pytest.mark.parametrize("row", [*MECHANISMS, *SHARED], ids=lambda row: row.name)
def test_the_test_exists_and_catches_a_mutant(row: Mechanism | Shared) -> None:
    file, name = row.test.removesuffix(NO_MUTANT).strip().split("::")
    assert name in names_in(PROJECT / "tests" / "engines" / file)
    verdicts = json.loads(VERDICTS.read_text(encoding="utf-8"))
    caught = {verdict["caught_by"].split("[")[0] for verdict in verdicts}
    assert (name not in caught) == row.test.endswith(NO_MUTANT)


def test_every_section_of_the_model_has_a_mechanism() -> None:
    headings = re.findall(r"^## (.+)$", MODEL.read_text(encoding="utf-8"), re.MULTILINE)
    links = {f"[{heading}](model.md#{anchor_of(heading)})" for heading in headings}
    assert {row.section for row in MECHANISMS} | {row.section for row in SHARED} == links


@pytest.mark.parametrize("engine", ["reference", "compiled"])
def test_every_module_has_a_mechanism_or_is_plumbing(engine: str) -> None:
    modules = {path.stem for path in (ENGINES / engine).glob("*.py")} - {"__init__"}
    with_mechanism = {module_of(getattr(row, engine)) for row in MECHANISMS}
    plumbing = {module for module, of, _ in PLUMBING if of == engine}
    assert with_mechanism | plumbing == modules
    assert not with_mechanism & plumbing


def test_a_mechanism_has_the_same_module_name_in_both_engines() -> None:
    assert {row.name for row in MECHANISMS if module_of(row.reference) != module_of(row.compiled)} == DIFFERENT
