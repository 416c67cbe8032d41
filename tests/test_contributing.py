"""The diff in CONTRIBUTING.md applies to the tree as it is, and what it adds is a control of both engines."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CHECK = """
from streamflow_env.engines.compiled.controls import lay_out_controls
from streamflow_env.engines.reference.controls import SPECIAL
from streamflow_env.system import load_system

system = load_system()
added = system.controls[-1]
assert added.name == "llm_backoff", added
assert len(lay_out_controls(system)) == len(system.controls)
assert added.parameter in SPECIAL or hasattr(system.owners(added.sets)[added.of], added.parameter)
print(system.control_table.default[-1])
"""


@pytest.fixture
def diff() -> str:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (found,) = re.findall(r"^```diff\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return str(found)


def test_adding_a_control_changes_few_files(diff: str) -> None:
    """Three are in the diff; a command writes docs/reference/environment.md, and a sentence is not code."""
    files = re.findall(r"^\+\+\+ b/(.+)$", diff, re.MULTILINE)
    assert files == [
        "streamflow_env/system/parameters.py",
        "configs/system/streamflow.yaml",
        "tests/engines/inert_controls.py",
    ]


def test_the_diff_adds_a_control_that_both_engines_can_set(diff: str, tmp_path: Path) -> None:
    for folder in ("streamflow_env", "configs", "tests/engines"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(["git", "apply", "-"], input=diff, text=True, cwd=tmp_path, check=True)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-c", CHECK], capture_output=True, text=True, cwd=tmp_path, env=environment, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "0.46"
