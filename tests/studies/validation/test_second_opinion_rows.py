"""The rows of the second opinion, on very short runs."""

from __future__ import annotations

from studies.validation import second_opinion as opinion


def test_a_row_for_every_quantity_and_the_reference_has_the_same_p_values() -> None:
    rows, figure = opinion.second_opinion(range(2), range(1), reference=True, jobs=1, measured_s=4000.0)
    assert [row.section for row in rows] == list(opinion.WHAT.values())
    assert all(row.passes and row.reference == row.seen[0] for row in rows)
    assert len(figure.axes) == 4


def test_another_first_seed_has_other_p_values() -> None:
    """So that the reference engine's repeat says something."""
    theirs = opinion.samples_of_ciw(4000.0, 0)
    first, second, third = (opinion.samples([seed], 4000.0) for seed in range(3))
    both, other = opinion.pooled([first, second]), opinion.pooled([third, second])
    assert opinion.compare(both, theirs) != opinion.compare(other, theirs)
