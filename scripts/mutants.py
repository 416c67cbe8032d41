"""Break one mechanism of the engines at a time, in a copy of the project, and see whether the tests notice.

The mutants are in studies/mutants/mutants.yaml. Exits with 1 if one survives. Each needs about half a minute: Numba's
cache does not see changes in the functions that a kernel calls, so every mutant is compiled with a cache of its own.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydantic import Field
from tqdm import tqdm

from streamflow_env.errors import ConfigError
from streamflow_env.system.schema import Frozen, Text, parse, read_yaml
from studies.mutants.verdicts import Verdict, write_mutants

PROJECT = Path(__file__).resolve().parent.parent
MUTANTS = PROJECT / "studies" / "mutants" / "mutants.yaml"
ENGINES = Path("streamflow_env") / "engines"
NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "runs", "results")


class Patch(Frozen):
    file: Text
    old: Text
    new: Text

    def apply(self, project: Path) -> None:
        """Replace `old`, which must occur exactly once. Raises ConfigError."""
        path = project / ENGINES / self.file
        text = path.read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            raise ConfigError(f"{self.file}: {self.old!r} occurs {text.count(self.old)} times, must be 1")
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")


class Mutant(Frozen):
    name: Text
    tests: tuple[Text, ...] = Field(min_length=1)
    patches: tuple[Patch, ...] = Field(min_length=1)

    @property
    def where(self) -> str:
        """Which of compiled, reference, draws it breaks."""
        return " + ".join(sorted({patch.file.split("/")[0] for patch in self.patches}))


class Mutants(Frozen):
    mutants: tuple[Mutant, ...]


def read_mutants(path: Path = MUTANTS) -> tuple[Mutant, ...]:
    return parse(Mutants, {"mutants": read_yaml(path)}, str(path)).mutants


def verdict(mutant: Mutant) -> Verdict:
    """Which test is the first to catch `mutant`, if any."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy = Path(folder)
        shutil.copytree(PROJECT, copy, ignore=NOT_COPIED, dirs_exist_ok=True)
        for patch in mutant.patches:
            patch.apply(copy)
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *mutant.tests]
        env = {**os.environ, "NUMBA_CACHE_DIR": str(copy / ".numba"), "PYTHONPATH": folder}
        result = subprocess.run(command, cwd=copy, env=env, capture_output=True, text=True, check=False)
    caught = re.search(r"^FAILED \S+::(.+?)(?: - .*)?$", result.stdout, re.MULTILINE)
    if result.returncode not in (0, 1) or (result.returncode == 1) != (caught is not None):  # pytest: passed, failed
        raise RuntimeError(f"{mutant.name}: the tests did not run\n{result.stdout[-3000:]}{result.stderr[-1000:]}")
    return Verdict(mutant.name, mutant.where, caught.group(1) if caught else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="mutants whose name contains this; --out is not written")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--out", type=Path, default=Path("docs/validation/mutants.json"), help="verdicts (JSON)")
    arguments = parser.parse_args()
    mutants = [mutant for mutant in read_mutants() if arguments.only in mutant.name]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        verdicts = list(tqdm(pool.map(verdict, mutants), total=len(mutants), unit="mutant"))
    for each in verdicts:
        print(f"{each.name:58} {each.where:22} {each.caught_by or 'SURVIVES'}")
    if not arguments.only:
        write_mutants(arguments.out, verdicts)
    print(f"{sum(bool(each.caught_by) for each in verdicts)} of {len(mutants)} mutants are caught")
    sys.exit(0 if all(each.caught_by for each in verdicts) else 1)


if __name__ == "__main__":
    main()
