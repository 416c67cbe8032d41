"""The sections of the validation's page. One function measures each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from studies.accounting import report as accounting_report
from studies.common.markdown import table
from studies.common.study import REPORTS, ROOT, kept
from studies.mutants import report as mutants_report
from studies.validation import second_opinion as opinion
from studies.validation.controllers import controller_cases
from studies.validation.failures import draw_failures, failure_checks
from studies.validation.littles_law import REPEATED_S, littles_law_checks
from studies.validation.plan import NAME
from studies.validation.queues import Queue, all_queues, theory_checks
from studies.validation.regions import Region, Regions, measure_regions
from studies.validation.regions_picture import MEANINGS, draw_regions
from studies.validation.section import Picture, Section, Settings
from studies.validation.theory_picture import draw_theory

THEORY: Final = """\
Single services and small networks, each from a few lines of YAML, in their steady state. Seeds {seeds}; no two queues
share random numbers. Each run begins empty, and is measured after the warm-up. {reference}
"""
LITTLE: Final = """\
L = λ·W at every service of the shipped system with its default configuration, in every scenario, seeds {seeds},
warm-up included. The episode begins with nothing in flight and goes on until every request has left. Then the
integral of the number that waits (the telemetry) must be the sum of all waits (the log of visits), in nanoseconds.
The same holds for requests in service and for cores in use. Consumers log no visits; their batches are replayed from
the times of their events. {reference}
"""
OPINION: Final = """\
An open network of three nodes, one with lognormal service, in [Ciw](https://ciw.readthedocs.io) and here: {ours} runs
of {measured_s:,.0f} s here (seeds {seeds}), {theirs} in Ciw (seeds {their_seeds}), each after a warm-up of
{warmup_s:,.0f} s. Of each node one wait in {spacing_s:g} s is kept, so that observations are independent; the test of
Kolmogorov and Smirnov needs that. A row is wrong where its p-value is below {lowest_p:g}. The unit tests make the
same comparison with a node that is a tenth slower, and it must be found. {reference}
"""
FAILURES: Final = """\
Three experiments that others have published, rebuilt from YAML in `configs/experiments`: Brooker's
[simulator_example](https://github.com/mbrooker/simulator_example) (A, a collapse; C, a cold cache), and a retry storm
with the recommended remedies (B). Seeds {seeds}, without warm-up. {reference}
"""
REGIONS: Final = """\
Where the shipped system recovers from a trigger by itself, and where it does not. The grid is of loads and of how
long the trigger lasts (auth is slower). The words are those of Bronson et al. (HotOS 2021) and Huang et al. (OSDI
2022). Seeds {seeds}, compiled engine. Nothing is known beforehand, so nothing can be wrong. Each run is a line of
[regions.csv]({data}).
"""
CONTROLLERS: Final = """\
Cases of Kubernetes' own tests of its HPA, and of resilience4j's tests and documents of its circuit breaker, one by
one, for the HPA of `streamflow_agents.policies.baselines` and the breakers of both engines. Nothing is random here.
More in [controllers.md]({guide}).
"""
ACCOUNTING: Final = """\
Random systems, loads, incidents and actions. After every step every account must balance exactly, and every bound
must hold. This is a study of its own, `make study NAME=accounting`; `make test` runs 10,000 steps of it.
"""
MUTANTS: Final = """\
Mechanisms of the engines are broken on purpose, one by one, to see whether the tests notice. This is a study of its
own, `make study NAME=mutants`.
"""
ABSENT: Final = "Its result is absent here: `make study NAME={name}` has not been run in this checkout.\n"
REGIONS_CSV: Final = "regions.csv"


def theory(settings: Settings) -> Section:
    """Queueing theory."""
    seeds, named = range(settings.scale.theory_seeds), settings.scale.theory_queues
    checks = theory_checks(seeds, settings.reference, settings.jobs, named or None)
    text = THEORY.format(seeds=_seeds(seeds), reference=_repeats(settings, "the first seed of each"))
    caption = "Left: every figure divided by theory's. Right: how long requests wait at an M/M/c."
    pictures = {"theory.png": Picture(draw_theory(checks), caption)}
    queues = {name: queue for name, queue in all_queues().items() if not named or name in named}
    return Section("Theory", text, checks, more="\n".join(_lengths(queues)), pictures=pictures)


def _lengths(queues: Mapping[str, Queue]) -> Iterator[str]:
    """A line for each warm-up and length, with the queues that have them."""
    sharing: dict[tuple[float, float], list[str]] = {}
    for name, queue in queues.items():
        system = queue.system
        sharing.setdefault((system.interval_s if system.has_warmup else 0.0, system.measured_s), []).append(name)
    yield from table(
        ("warm-up, s", "measured, s a seed", "queues"),
        (
            (f"{warmup_s:,.0f}", f"{measured_s:,.0f}", "; ".join(n))
            for (warmup_s, measured_s), n in sorted(sharing.items())
        ),
    )
    yield ""


def littles_law(settings: Settings) -> Section:
    """Little's law."""
    seeds, named = range(settings.scale.littles_law_seeds), settings.scale.littles_law_scenarios
    checks = littles_law_checks(seeds, settings.reference, settings.jobs, named or None)
    what = f"the first seed, of an episode longer than {REPEATED_S / 3600:g} h its beginning, in a row of its own"
    return Section("Little's law", LITTLE.format(seeds=_seeds(seeds), reference=_repeats(settings, what)), checks)


def second_opinion(settings: Settings) -> Section:
    """The same network in Ciw."""
    plan = settings.scale.second_opinion
    ours, theirs = range(plan.num_seeds), range(plan.num_ciw_seeds)
    checks, figure = opinion.second_opinion(ours, theirs, settings.reference, settings.jobs, plan.measured_s)
    text = OPINION.format(
        ours=len(ours), seeds=_seeds(ours), theirs=len(theirs), their_seeds=_seeds(theirs),
        measured_s=plan.measured_s, warmup_s=opinion.WARMUP_S, spacing_s=opinion.SPACING_S,
        lowest_p=opinion.LOWEST_P, reference=_repeats(settings, "the first seed"),
    )  # fmt: skip
    caption = "Waits at the three nodes and the response time, in Ciw and here."
    return Section("A second opinion", text, checks, pictures={"second-opinion.png": Picture(figure, caption)})


def failures(settings: Settings) -> Section:
    """Published failures."""
    seeds = range(settings.scale.failures_seeds)
    checks = failure_checks(seeds, settings.reference, settings.jobs)
    figure = draw_failures(seeds[0], settings.jobs)
    text = FAILURES.format(seeds=_seeds(seeds), reference=_repeats(settings, "the first seed"))
    caption = "The published failures, rebuilt: goodput and hit ratio over time."
    return Section("Published failures", text, checks, pictures={"failures.png": Picture(figure, caption)})


def regions(settings: Settings) -> Section:
    """Where the system recovers by itself."""
    grid = settings.scale.regions
    seeds = range(grid.num_seeds)
    measured = measure_regions(seeds, settings.jobs, settings.progress, loads=grid.loads, durations_s=grid.durations_s)
    caption = "Where the system is stable, vulnerable and metastable: loads across, length of the trigger upwards."
    data = os.path.relpath(kept(NAME) / REGIONS_CSV, REPORTS)
    return Section(
        "Stable, vulnerable, metastable",
        REGIONS.format(seeds=_seeds(seeds), data=data),
        more="\n".join(_counts(measured)),
        pictures={"regions.png": Picture(draw_regions(measured), caption)},
        files={REGIONS_CSV: measured.write_csv},
        summary=f"{len(measured.outcomes)} runs",
    )


def _counts(measured: Regions) -> Iterator[str]:
    rows = [
        (MEANINGS[region], *(str(measured.count(policy, region)) for policy in measured.policies)) for region in Region
    ]
    yield from table(("points of the grid", *measured.policies), rows)
    yield ""


def controllers(settings: Settings) -> Section:
    """The controllers against their originals."""
    guide = os.path.relpath(ROOT / "docs" / "guide" / "controllers.md", REPORTS)
    return Section("Controllers", CONTROLLERS.format(guide=guide), cases=controller_cases())


def accounting(settings: Settings) -> Section:
    """What the study `accounting` kept."""
    if not settings.accounting.exists():
        return Section("Accounting", ACCOUNTING, more=ABSENT.format(name="accounting"), summary="absent")
    kept_summary = accounting_report.read_accounting(settings.accounting)
    num_wrong = len(kept_summary["violations"])
    summary = f"{num_wrong} violations in {kept_summary['steps']:,} steps"
    more = accounting_report.accounting_text(kept_summary)
    return Section("Accounting", ACCOUNTING, more=more, summary=summary, num_wrong=num_wrong)


def mutants(settings: Settings) -> Section:
    """What the study `mutants` kept."""
    if not settings.mutants.exists():
        return Section("Mutants", MUTANTS, more=ABSENT.format(name="mutants"), summary="absent")
    verdicts = mutants_report.read_mutants(settings.mutants)
    num_wrong = sum(not verdict.caught_by for verdict in verdicts)
    summary = f"{len(verdicts) - num_wrong} of {len(verdicts)} are caught"
    more = mutants_report.mutants_text(verdicts)
    return Section("Mutants", MUTANTS, more=more, summary=summary, num_wrong=num_wrong)


SECTIONS: Final[Mapping[str, Callable[[Settings], Section]]] = {
    "theory": theory,
    "littles-law": littles_law,
    "second-opinion": second_opinion,
    "failures": failures,
    "regions": regions,
    "controllers": controllers,
    "accounting": accounting,
    "mutants": mutants,
}
"""By name, in the order of the page."""
QUOTED: Final = ("accounting", "mutants")
"""Those that quote what another study has kept."""


def _seeds(seeds: range) -> str:
    return f"{seeds[0]} to {seeds[-1]}"


def _repeats(settings: Settings, what: str) -> str:
    return f"The reference engine repeats {what}." if settings.reference else "The reference engine was left out."
