"""Mutants: what each breaks, and whether the tests notice it in a copy of the project."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from pydantic import Field

from streamflow_env.errors import ConfigError
from streamflow_env.system.schema import Frozen, Text, parse, read_yaml
from studies.common.study import ROOT, STUDIES
from studies.mutants.report import Verdict

MUTANTS_YAML: Final = STUDIES / "mutants" / "mutants.yaml"
ENGINES: Final = Path("streamflow_env") / "engines"
NOT_COPIED: Final = shutil.ignore_patterns(".*", "__pycache__", "runs", "results")


class Patch(Frozen):
    """A string of a file under `ENGINES`, which occurs there once, and what replaces it."""

    file: Text
    old: Text
    new: Text

    def apply(self, project: Path) -> None:
        """Replace `old` in the copy `project`. Raises ConfigError where it does not occur exactly once."""
        path = project / ENGINES / self.file
        text = path.read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            raise ConfigError(f"{self.file}: {self.old!r} occurs {text.count(self.old)} times, must be 1")
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")


class Mutant(Frozen):
    """Patches that break one mechanism, and the test files of which at least one test must fail."""

    name: Text
    tests: tuple[Text, ...] = Field(min_length=1)
    patches: tuple[Patch, ...] = Field(min_length=1)

    @property
    def where(self) -> str:
        """Which of compiled, reference, draws it breaks."""
        return " + ".join(sorted({patch.file.split("/")[0] for patch in self.patches}))


class Mutants(Frozen):
    """The content of the file of mutants."""

    mutants: tuple[Mutant, ...]


def read_mutants(path: Path = MUTANTS_YAML) -> tuple[Mutant, ...]:
    """The mutants of a file. Raises ConfigError."""
    return parse(Mutants, {"mutants": read_yaml(path)}, str(path)).mutants


def verdict(mutant: Mutant) -> Verdict:
    """Run the mutant's tests in a copy of the project. Raises RuntimeError where they do not run.

    Each copy has a cache of kernels of its own: Numba does not notice changes in the functions that a kernel calls.
    """
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy = Path(folder)
        shutil.copytree(ROOT, copy, ignore=NOT_COPIED, dirs_exist_ok=True)
        for patch in mutant.patches:
            patch.apply(copy)
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *mutant.tests]
        sources = os.pathsep.join((folder, str(copy / "agents")))
        env = {**os.environ, "NUMBA_CACHE_DIR": str(copy / ".numba"), "PYTHONPATH": sources}
        result = subprocess.run(command, cwd=copy, env=env, capture_output=True, text=True, check=False)
    caught = re.search(r"^FAILED \S+::(.+?)(?: - .*)?$", result.stdout, re.MULTILINE)
    if result.returncode not in (0, 1) or (result.returncode == 1) != (caught is not None):  # pytest: passed, failed
        raise RuntimeError(f"{mutant.name}: the tests did not run\n{result.stdout[-3000:]}{result.stderr[-1000:]}")
    return Verdict(mutant.name, mutant.where, caught.group(1) if caught else "")
