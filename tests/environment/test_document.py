"""The page of the environment says what the code does."""

from __future__ import annotations

from streamflow_env.environment.document import PAGE, SECTION, documented
from streamflow_env.system import load_system


def test_the_page_is_up_to_date() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert documented(page, load_system()) == page, "run python -m streamflow_env.environment.document"
    assert [name for _, name, _ in SECTION.findall(page)] == ["ids", "actions", "observations", "rewards", "metrics"]
