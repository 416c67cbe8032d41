"""Compare the figures of README and docs with those of an earlier commit: which numbers are new, which are gone.

`python scripts/study.py digest --figures COMMIT`. A page is found by its file name, wherever it lies now. Numbers in
code, links and HTML comments do not count, nor do those that number headings, list items, rules and sections.
"""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from streamflow_env.errors import ConfigError
from studies.common.study import ROOT

FOLDERS: Final = ("README.md", "docs")
NOT_PROSE: Final = re.compile(
    r"```.*?```|`[^`\n]*`|\]\([^)]*\)|<!--.*?-->|^#+ .*?$|^\s*[\d.]+\.?\s"
    r"|\*\*\d+\.\d+\*\*|\b(?:[Rr]ules?|[Ss]ections?) \d[\d., and]*|\(\d+(?:\.\d+)?\)",
    re.S | re.M,
)
NUMBER: Final = re.compile(r"[-−+]?\d[\d,_]*(?:\.\d+)?")


@dataclass(frozen=True)
class Difference:
    """The numbers that a page has lost and gained."""

    page: str
    lost: Counter[str]
    gained: Counter[str]

    def __str__(self) -> str:
        lost, gained = (" ".join(sorted(numbers.elements())) for numbers in (self.lost, self.gained))
        return f"{self.page}: lost [{lost}], gained [{gained}]"


def differences(commit: str) -> Iterator[Difference]:
    """The pages whose numbers are not those of `commit`. Raises ConfigError: no such commit."""
    before = {_key(path): _git("show", f"{commit}:{path}") for path in _pages_at(commit)}
    paths = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    after = {_key(str(path.relative_to(ROOT))): path.read_text(encoding="utf-8") for path in paths}
    for page in sorted(before):
        old, new = numbers(before[page]), numbers(after.get(page, ""))
        if old != new:
            yield Difference(page, old - new, new - old)


def numbers(text: str) -> Counter[str]:
    """The numbers of a page's prose and tables, with how often each stands there."""
    return Counter(
        number.strip(",_").lstrip("+").replace("−", "-") for number in NUMBER.findall(NOT_PROSE.sub(" ", text))
    )


def _pages_at(commit: str) -> list[str]:
    return [
        path for path in _git("ls-tree", "-r", "--name-only", commit, *FOLDERS).splitlines() if path.endswith(".md")
    ]


def _key(path: str) -> str:
    """A page by its name; a `summary.md` or a folder's `README.md` by the folder's name as well."""
    parts = Path(path)
    return f"{parts.parent.name}/{parts.name}" if parts.name in ("summary.md", "README.md") else parts.name


def _git(*arguments: str) -> str:
    result = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode:
        raise ConfigError(f"git {' '.join(arguments)}: {result.stderr.strip()}")
    return result.stdout
