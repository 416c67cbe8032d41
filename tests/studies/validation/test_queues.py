"""A part of the theory's rows, the quickest; the study has them all."""

from __future__ import annotations

import dataclasses

import pytest

from studies.validation import queues
from studies.validation.checks import Check
from studies.validation.queues import Queue, all_queues, theory_checks
from studies.validation.small_systems import SmallSystem
from studies.validation.theory_picture import RIGHT, WRONG, draw_theory

QUICK = ("M/M/10/10, load 8", "M/M/1/10, load 1.2", "M/D/1, ρ = 0.7", "token bucket, load 3 r, from full")


@pytest.mark.parametrize("section", QUICK)
def test_a_queue_is_as_theory_has_it(section: str) -> None:
    """On both engines, to the last bit."""
    for row in theory_checks(range(100), sections=[section]):
        assert row.reference is not None
        assert row.passes, row


def test_a_wrong_queue_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Services that last 5 % longer than what the row expects."""
    section = "M/D/1, ρ = 0.7"
    right = all_queues()[section]
    slower = right.system.services.replace("mean_s: 1.0", "mean_s: 1.05")
    wrong = Queue(dataclasses.replace(right.system, services=slower), right.figures)
    monkeypatch.setattr(queues, "all_queues", lambda: {section: wrong})

    (row,) = theory_checks(range(30), reference=False)

    assert not row.is_as_expected


def test_every_section_has_its_figures() -> None:
    found = all_queues()
    assert len(found) >= 15
    assert all(queue.figures for queue in found.values())
    assert all(f.expected is not None or f.low < f.high for queue in found.values() for f in queue.figures)


def test_premium_and_standard_users_are_told_apart() -> None:
    """Those who came while somebody waited; over a long run their mean is the mean of all."""
    (premium, standard) = (f for f in all_queues()["M/M/1, premium users first"].figures)
    cell = all_queues()["M/M/1, premium users first"].system
    log = SmallSystem(cell.services, cell.plans, 5000.0, premium_fraction=0.375).run("compiled", 0)
    visits, answers = log.visits("server"), log.answers
    share = float(answers["premium"].mean())
    assert len(visits) == len(answers)
    assert share == pytest.approx(0.375, abs=0.03)
    assert share * premium.read(log) + (1 - share) * standard.read(log) == pytest.approx(log.mean_wait_s("server"))


def test_the_picture_has_a_line_a_row_and_shows_what_is_wrong() -> None:
    rows = [
        Check(name, f.measure, f.unit, tuple(x * f.expected for x in (0.999, 1.0, 1.0, 1.001)), f.source, f.expected)
        for name, queue in all_queues().items()
        for f in queue.figures
        if f.expected is not None
    ]
    rows[3] = dataclasses.replace(rows[3], expected=2.0 * rows[3].mean)
    ratios, waits = draw_theory(rows).axes
    names = [label.get_text() for label in ratios.get_yticklabels()]
    assert names == [f"{row.section}:  {row.measure}" for row in rows]
    colours = [line.get_color() for line in ratios.lines if line.get_marker() == "o"]
    assert colours == [WRONG if index == 3 else RIGHT for index in range(len(rows))]
    assert len(waits.containers) == 12
