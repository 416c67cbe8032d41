"""Published failures: every row on one seed; rows can fail; plain models say the same."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest

from studies.validation import failures_cold_cache as cold
from studies.validation import failures_collapse as collapse
from studies.validation import failures_retry_storm as storm
from studies.validation.experiments import Load, Measure, Override, Run, Trace, checks_of, simulate
from studies.validation.failures import draw_failures, failure_checks, failure_measures
from tests.studies.validation.plain_models import plain_cold_cache, plain_storm

SLOW_TO_RUN = ("λ = 24.5/s", "λ = 26/s", "λ = 30/s")


def test_every_row_is_right_on_one_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """All but what takes 3000 s of a run; the study has them."""
    quick = [m for m in failure_measures() if not m.measure.startswith(SLOW_TO_RUN)]
    monkeypatch.setattr("studies.validation.failures.failure_measures", lambda: quick)

    rows = failure_checks([0], reference=False)

    assert len(rows) == len(quick)
    assert {row.section for row in rows} == {collapse.SECTION, storm.SECTION, cold.SECTION}
    for row in rows:
        assert row.passes, row


def _broken(measure: Measure, *overrides: Override) -> Measure:
    return replace(measure, runs=tuple(replace(run, overrides=run.overrides + overrides) for run in measure.runs))


@pytest.mark.parametrize(
    ("name", "override"),
    [
        ("no backoff: share of runs that stay down", ("services.server.latency_per_query_s", 0.0)),
        ("no backoff: share of runs that stay down", ("users.max_retries", 0)),
        ("3 immediate retries: recovers at", ("services.server.serves_abandoned", False)),
        ("queue limit 50: recovers at", ("services.server.queue_limit", 500)),
        ("breaker: goodput 60–90 s", ("users.breaker.threshold_fraction", 1.0)),
        ("λ = 20/s, a spike of 3 s: recovers at", ("users.max_retries", 6)),
        ("largest queue limit that is recovered with", ("users.deadline_s", 2.0)),
        ("20 fills/s: hit ratio at t = 10 s", ("users.popularity_exponent", 1.2)),
        ("100 fills/s: hit ratio at t = 59 s", ("services.cache.memory_entries", 100)),
    ],
)
def test_a_row_fails_where_the_system_is_another(name: str, override: Override) -> None:
    (measure,) = (m for m in failure_measures() if m.measure == name)

    (row,) = checks_of([_broken(measure, override)], [0], reference=False, jobs=1)

    assert not row.passes, row


@pytest.mark.parametrize(
    "run",
    [
        replace(collapse.variant("backoff U(0, 20) s, U(0, 40) s"), horizon_s=60),
        replace(storm.variant("breaker"), horizon_s=80),
        replace(storm.variant("3 immediate retries"), horizon_s=60),
        replace(cold.variant(20), horizon_s=8),
    ],
    ids=lambda run: run.experiment,
)
def test_the_reference_engine_counts_the_same(run: Run) -> None:
    compiled, reference = simulate(run), simulate(replace(run, engine="reference"))

    for name in ("intents", "attempts", "answers", "lookups", "hits"):
        np.testing.assert_array_equal(getattr(compiled, name), getattr(reference, name), err_msg=name)
    assert compiled.answers.sum() > 0


def _plain_trace(seed: int, drops_expired: bool, spike_s: float) -> Trace:
    intents, answers = plain_storm(seed, drops_expired=drops_expired, spike_s=spike_s)
    return Trace(storm.SPIKE.start_s + spike_s, intents, intents, answers, intents, intents)


def test_a_plain_model_recovers_as_late_where_expired_requests_are_dropped() -> None:
    """Standard deviations of 3 s: medians of 15 runs each differ by 1.4 s of chance."""
    plain = [_plain_trace(seed, True, 10.0).recovery_time_s for seed in range(15)]
    ours = [
        simulate(replace(storm.variant("expired requests dropped"), seed=seed)).recovery_time_s for seed in range(15)
    ]

    assert np.median(ours) == pytest.approx(np.median(plain), abs=4.2)


@pytest.mark.parametrize(("spike_s", "low", "high"), [(0.6, 0.0, 0.1), (1.6, 0.8, 1.0)])
def test_a_plain_model_is_stuck_after_the_same_spikes(spike_s: float, low: float, high: float) -> None:
    load = Load(70.0, 200.0, 30.0, spike_s)
    plain = [_plain_trace(seed, False, spike_s).recovery_time_s for seed in range(15)]
    ours = [simulate(Run("retry_storm", (), load, 120, seed=seed)).recovery_time_s for seed in range(15)]

    assert low <= np.mean(np.isinf(plain)) <= high
    assert low <= np.mean(np.isinf(ours)) <= high


def _our_key(rng: np.random.Generator) -> int:
    """docs/reference/model.md's distribution of keys: p(k) ∝ ∫ x^-1.3 from k + 1 to k + 2, k < 10⁹."""
    top = (1e9 + 1.0) ** -0.3
    return int((1.0 + rng.random() * (top - 1.0)) ** (-1.0 / 0.3)) - 1


def _zipf_key(rng: np.random.Generator) -> int:
    return int(rng.zipf(1.3)) - 1


@pytest.mark.parametrize(("fills", "second"), [(20, 10), (100, 10), (100, 30)])
def test_the_law_of_keys_is_the_difference_from_the_published_hit_ratios(fills: int, second: int) -> None:
    """A plain model has the published program's figures with Zipf's keys, and what ours must meet with ours."""
    known = cold.TABLE[fills][second]
    for law, expected in ((_zipf_key, known.theirs), (_our_key, known.with_our_keys)):
        draw_key = functools.partial(law, np.random.default_rng(0))
        seen = [plain_cold_cache(draw_key, fills, horizon_s=second)[-1] for _ in range(6)]
        assert np.mean(seen) == pytest.approx(expected, abs=4 * known.between * (1 / 6 + 1 / 25) ** 0.5)


def test_the_picture_has_every_variant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collapse, "REPEATS", 3)
    monkeypatch.setattr(cold, "REPEATS", 1)

    figure = draw_failures()

    titles = [axis.get_title(loc="left") for axis in figure.axes]
    assert len(titles) == len(set(titles)) == len(collapse.VARIANTS) + len(storm.VARIANTS) + 1
