"""The Python examples of README and the guides run as they are printed, and every link of the pages leads somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md")))
GUIDES = ("scenarios", "baselines", "controllers")
PAGES_WITH_EXAMPLES = (ROOT / "README.md", *(DOCS / "guide" / f"{name}.md" for name in GUIDES))


def _text(page: Path) -> str:
    """The page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)


def _links(page: Path) -> list[str]:
    """The pages, files and anchors of this repository to which `page` links."""
    links = re.findall(r"\]\(([^)\s]+)\)", _text(page))
    return sorted({link for link in links if not re.match(r"\w+:", link)})


def _anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of `page`."""
    headings = re.findall(r"^#+ +(.+?) *$", _text(page), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _examples(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), flags=re.M | re.S)


LINKS = [(page.relative_to(ROOT).as_posix(), link) for page in PAGES for link in _links(page)]
EXAMPLES = [
    pytest.param(example, id=f"{page.name}-{number}")
    for page in PAGES_WITH_EXAMPLES
    for number, example in enumerate(_examples(page))
]


def test_the_pages_have_links_and_examples() -> None:
    assert len(LINKS) > 50
    assert all(_examples(page) for page in PAGES_WITH_EXAMPLES)


@pytest.mark.parametrize(("page", "link"), LINKS)
def test_a_link_leads_somewhere(page: str, link: str) -> None:
    path, _, anchor = link.partition("#")
    target = (ROOT / page).parent / path if path else ROOT / page
    assert target.exists(), f"{page}: {link}"
    if anchor:
        assert anchor in _anchors(target), f"{page}: {link}: no such heading"


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_runs_as_printed(example: str) -> None:
    """In a process of its own, where a warning is an error and only what the example imports is there."""
    command = [sys.executable, "-W", "error", "-c", example]
    completed = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert completed.returncode == 0, completed.stderr
    assert completed.stdout


def test_the_glossary_has_each_term_once_and_in_order() -> None:
    page = (DOCS / "reference" / "glossary.md").read_text(encoding="utf-8")
    terms = re.findall(r"^\| (.+?) \|", page, flags=re.M)[1:]
    assert len(terms) > 100
    assert terms == sorted(set(terms), key=str.lower)


def test_the_rules_of_the_model_are_numbered_without_gaps() -> None:
    sections = re.split(r"^## ", (DOCS / "reference" / "model.md").read_text(encoding="utf-8"), flags=re.M)[1:]
    for number, section in enumerate(sections, start=1):
        assert section.startswith(f"{number}. ")
        rules = re.findall(r"^- \*\*(\d+\.\d+)\*\*", section, flags=re.M)
        assert rules == [f"{number}.{rule}" for rule in range(1, len(rules) + 1)]


@pytest.mark.parametrize("name", ["model.md", "glossary.md"])
def test_a_quoted_rule_exists(name: str) -> None:
    rules = set(re.findall(r"\*\*(\d+\.\d+)\*\*", (DOCS / "reference" / "model.md").read_text(encoding="utf-8")))
    page = (DOCS / "reference" / name).read_text(encoding="utf-8")
    quoted = {
        rule for words in re.findall(r"(?:rules?|model) ([\d., to]+)", page) for rule in re.findall(r"\d+\.\d+", words)
    }
    assert quoted
    assert quoted <= rules
