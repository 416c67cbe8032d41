"""The page's list of the controllers' cases, and how it is printed."""

from __future__ import annotations

from studies.validation.cases import Case
from studies.validation.controllers import controller_cases, markdown


def test_every_case_of_every_controller_passes() -> None:
    cases = controller_cases()
    assert {case.controller for case in cases} == {"HPA", "circuit breaker"}
    assert [case for case in cases if not case.passes] == []


def test_no_case_is_listed_twice() -> None:
    listed = [(case.controller, case.case, case.source) for case in controller_cases()]
    assert len(listed) == len(set(listed))


def test_the_cases_are_counted_and_the_wrong_ones_named() -> None:
    right, wrong = Case("HPA", "up", "a.go: TestUp", "4", "4"), Case("HPA", "down", "a.go: TestDown", "2", "3")
    assert list(markdown([right, wrong]))[2:] == [
        "| HPA | a.go | 2 | **1** |",
        "",
        "**Wrong**: HPA, down (a.go: TestDown): 3, not 2.",
    ]
