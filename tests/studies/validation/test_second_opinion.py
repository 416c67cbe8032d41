"""Ciw and the engine on one network, in short; and that the test tells a service 10 % slower apart."""

from __future__ import annotations

import builtins
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from streamflow_env.errors import ConfigError
from studies.validation.second_opinion import (
    LOWEST_P,
    WHAT,
    Samples,
    compare,
    draw,
    samples,
    samples_of_ciw,
)

SHORT_S = 40_000.0
SEEDS = range(6)


@pytest.fixture(scope="module")
def theirs() -> Samples:
    return samples_of_ciw(SHORT_S, 1)


def test_the_distributions_agree(theirs: Samples, tmp_path: Path) -> None:
    ours = samples(SEEDS, SHORT_S)
    p_values = compare(ours, theirs)
    assert min(p_values.values()) >= LOWEST_P
    assert all(len(theirs[name]) > 600 and len(ours[name]) > 3600 for name in WHAT)
    draw(ours, theirs, p_values).savefig(tmp_path / "both.png")
    assert (tmp_path / "both.png").stat().st_size > 10_000


def test_a_service_ten_percent_slower_is_found(theirs: Samples) -> None:
    slower = samples(SEEDS, SHORT_S, "{mean_s: 1.111111, distribution: exponential}")
    assert compare(slower, theirs)["b"] < LOWEST_P / 10


def test_without_ciw_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without_ciw(name: str, *args: Any, **more: Any) -> Any:
        if name == "ciw":
            raise ImportError(name)
        return imported(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", without_ciw)
    with pytest.raises(ConfigError, match=r"ciw is not installed.*\[dev\]"):
        samples_of_ciw(1.0, 0)


def test_everything_is_imported_without_ciw_and_scipy() -> None:
    """That no other module imports them, not even in a function, is a contract of import-linter (pyproject.toml).

    Numba looks for scipy by itself, so that it is among the modules says nothing; here nobody can import it.
    """
    code = (
        "import sys, pkgutil, importlib, streamflow_env, studies.validation\n"
        "sys.modules.update({'ciw': None, 'scipy': None})\n"
        "packages = (streamflow_env, studies.validation)\n"
        "names = [m.name for p in packages for m in pkgutil.walk_packages(p.__path__, p.__name__ + '.')]\n"
        "assert 'studies.validation.second_opinion' in names\n"
        "list(map(importlib.import_module, names))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])
