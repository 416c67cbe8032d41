"""The mutants themselves: every patch still fits the code, and enough of them break both engines alike."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from streamflow_env.errors import ConfigError
from studies.common.study import ROOT
from studies.mutants.mutants import ENGINES, Mutant, Patch, read_mutants

MUTANTS = read_mutants()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_fits_the_code(mutant: Mutant, tmp_path: Path) -> None:
    for patch in mutant.patches:
        there = tmp_path / ENGINES / patch.file
        there.parent.mkdir(parents=True, exist_ok=True)
        if not there.exists():
            shutil.copy(ROOT / ENGINES / patch.file, there)
        patch.apply(tmp_path)
        compile(there.read_text(encoding="utf-8"), str(there), "exec")
    assert all((ROOT / test).is_file() for test in mutant.tests)


def test_there_are_enough_and_most_break_both_engines_alike() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 50
    assert sum(mutant.where == "compiled + reference" for mutant in MUTANTS) >= 45


def test_a_patch_that_does_not_fit_is_an_error(tmp_path: Path) -> None:
    (tmp_path / ENGINES).mkdir(parents=True)
    (tmp_path / ENGINES / "a.py").write_text("x = 1\nx = 1\n", encoding="utf-8")
    for old, times in (("x = 1", 2), ("y = 1", 0)):
        with pytest.raises(ConfigError, match=f"a.py: '{old}' occurs {times} times"):
            Patch(file="a.py", old=old, new="x = 2").apply(tmp_path)
