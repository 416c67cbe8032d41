"""The Python examples of README and docs do what they say, run as they are printed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = (ROOT / "README.md", ROOT / "docs" / "scenarios.md", ROOT / "docs" / "controllers.md")
EXAMPLES = [re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S) for page in PAGES]


LINKS = [
    (page, link)
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize(("page", "link"), LINKS)
def test_a_link_leads_somewhere(page: Path, link: str) -> None:
    assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_there_are_examples() -> None:
    assert all(EXAMPLES)


@pytest.mark.parametrize("example", [example for page in EXAMPLES for example in page])
def test_an_example_runs_as_printed(example: str) -> None:
    """In a process of its own, where a warning is an error and only what the example imports is there."""
    command = [sys.executable, "-W", "error", "-c", example]
    completed = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert completed.returncode == 0, completed.stderr
    assert completed.stdout
