"""The engines share no code of their own, not even through a third module: what both import is stated here."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ENGINES = Path(__file__).resolve().parents[2] / "streamflow_env" / "engines"
SHARED = (
    "streamflow_env.system",
    "streamflow_env.episode",
    "streamflow_env.errors",
    "streamflow_env.engines.draws",
    "streamflow_env.engines.telemetry",
    "streamflow_env.engines.warm_start",
)
"""Configuration, what happens from outside, draws, telemetry definitions, and the one computed warm state.

The compiled engine keeps its entries in the warm state's slots; the reference engine has a dictionary of its own.
Its fleet is a fleet, which steps engines and simulates nothing; the reference engine knows of none.
"""
COMPILED_ALONE = (
    "streamflow_env.engines.cache_entries.",
    "streamflow_env.engines.fleet.",
    "streamflow_env.engines.compiling.",
)


def imported(engine: str) -> set[str]:
    """What an engine imports of this project, its own modules aside."""
    names: set[str] = set()
    for path in sorted((ENGINES / engine).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: imports are absolute"
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
    own = f"streamflow_env.engines.{engine}"
    return {name for name in names if name.startswith("streamflow_env") and not name.startswith(f"{own}.")}


def test_engines_share_definitions_only() -> None:
    both = {engine: imported(engine) for engine in ("compiled", "reference")}
    both["compiled"] -= {name for name in both["compiled"] if name.startswith(COMPILED_ALONE)}
    assert all(len(names) > 3 for names in both.values())
    for engine, names in both.items():
        strangers = {name for name in names if not any(name == s or name.startswith(f"{s}.") for s in SHARED)}
        assert strangers == set(), engine


def imports_within(folder: Path, package: str) -> dict[str, set[str]]:
    """For each module of `package` the modules of it that it imports, those under `TYPE_CHECKING` too."""
    graph: dict[str, set[str]] = {}
    for path in folder.glob("*.py"):
        graph[path.stem] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                continue
            graph[path.stem] |= {
                name.removeprefix(f"{package}.").split(".")[0] for name in names if name.startswith(package)
            }
    return graph


def test_the_reference_engine_has_no_import_cycle() -> None:
    graph = imports_within(ENGINES / "reference", "streamflow_env.engines.reference")
    assert graph["engine"] >= {"attempt", "plan", "pools"}
    order = list(TopologicalSorter(graph).static_order())
    assert order[-1] == "__init__"


def test_a_cycle_of_type_annotations_is_found(tmp_path: Path) -> None:
    guarded = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from package.b import B\n"
    (tmp_path / "a.py").write_text(guarded, encoding="utf-8")
    (tmp_path / "b.py").write_text("import package.a\n", encoding="utf-8")
    with pytest.raises(CycleError):
        TopologicalSorter(imports_within(tmp_path, "package")).prepare()
