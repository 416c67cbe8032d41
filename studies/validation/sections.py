"""The sections of the validation's page, each measured by one function."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from studies.mutants import verdicts as records
from studies.validation import second_opinion as opinion
from studies.validation.controllers import controller_cases
from studies.validation.failures import draw_failures, failure_rows
from studies.validation.littles_law import REPEATED_S, littles_law_rows
from studies.validation.queues import Queue, all_queues, theory_rows
from studies.validation.regions import Region, Regions, measure_regions
from studies.validation.regions_picture import MEANINGS, draw_regions
from studies.validation.section import Picture, Section, Settings
from studies.validation.theory_picture import draw_theory

THEORY_SEEDS: Final = range(200)
LITTLE_SEEDS: Final = range(2)
FAILURE_SEEDS: Final = range(3)
REGION_SEEDS: Final = range(3)

THEORY: Final = """Single services and small networks, each from a few lines of YAML, in their steady state. Seeds
{seeds}, and no two queues share their numbers; each run begins empty, and what is measured comes after the warm-up.
{reference}
"""
LITTLE: Final = """L = λ·W at every service of the shipped system as found, in every scenario, seeds {seeds}, warm-up
included. The episode begins with nothing in flight and is run on until all that came has left. Then the integral of the
number that waits (the telemetry) must be the sum of the waits of all who came (the log of visits), in nanoseconds;
likewise for those in service, and for cores in use. Consumers log no visits: their batches are replayed
from when their events came. {reference}
"""
OPINION: Final = """An open network of three nodes, one with lognormal service, in [Ciw](https://ciw.readthedocs.io) and
here: {ours} runs of {measured_s:,.0f} s here (seeds {seeds}), {theirs} in Ciw (seeds {their_seeds}), each after a
warm-up of {warmup_s:,.0f} s. Of each node one wait in {spacing_s:g} s is kept, so that observations are independent, as
the test of Kolmogorov and Smirnov needs them. A row is wrong where its p-value is below {lowest_p:g}; the tests make
the same comparison with a node that is a tenth slower, and it must be found. {reference}
"""
FAILURES: Final = """Three experiments that others have published, rebuilt from YAML in `configs/experiments`: Brooker's
[simulator_example](https://github.com/mbrooker/simulator_example) (A, a collapse; C, a cold cache) and a retry storm
with the remedies that are recommended against it (B). Seeds {seeds}, without warm-up. {reference}
"""
REGIONS: Final = """Where the shipped system comes back from a trigger by itself and where it does not, on a grid of
loads and of how long the trigger lasts (auth slower): the words are those of Bronson et al. (HotOS 2021) and Huang et
al. (OSDI 2022). Seeds {seeds}, compiled engine; nothing is known beforehand, so nothing can be wrong. Each run is a
line of `regions.csv`, beside the picture.
"""
CONTROLLERS: Final = """Cases of Kubernetes' own tests of its HPA and of resilience4j's tests and documents of its
circuit breaker, played one by one: the HPA of `agents/baselines`, the breakers of both engines. Nothing is random
here. More in [controllers.md](controllers.md).
"""
ACCOUNTING: Final = """Random systems, loads, incidents and actions, every account and bound exact after every step:
`make accounting`, a campaign of its own; `make test` runs 10,000 steps of it.
"""
MUTANTS: Final = """Mechanisms of the engines broken on purpose, one by one, to see whether the tests notice: `make
mutants`, a campaign of its own, on the tests with their own seeds.
"""
ABSENT: Final = "Its result is absent here: `{command}` has not been run in this checkout.\n"


def theory(settings: Settings) -> Section:
    rows = theory_rows(THEORY_SEEDS, settings.reference, settings.processes)
    text = THEORY.format(seeds=_seeds(THEORY_SEEDS), reference=_repeats(settings, "the first seed of each"))
    caption = "Left: every figure over what theory says. Right: how long requests wait at an M/M/c."
    pictures = {"theory.png": Picture(draw_theory(rows), caption)}
    return Section("Theory", text, rows, more="\n".join(_lengths(all_queues())), pictures=pictures)


def _lengths(queues: Mapping[str, Queue]) -> Iterator[str]:
    """A line for each warm-up and length, with the queues that have them."""
    yield "| warm-up, s | measured, s a seed | queues |"
    yield "|---|---|---|"
    sharing: dict[tuple[float, float], list[str]] = {}
    for name, queue in queues.items():
        cell = queue.cell
        sharing.setdefault((cell.interval_s if cell.has_warmup else 0.0, cell.measured_s), []).append(name)
    for (warmup_s, measured_s), names in sorted(sharing.items()):
        yield f"| {warmup_s:,.0f} | {measured_s:,.0f} | {'; '.join(names)} |"
    yield ""


def littles_law(settings: Settings) -> Section:
    rows = littles_law_rows(LITTLE_SEEDS, settings.reference, settings.processes)
    what = f"the first seed, of an episode longer than {REPEATED_S / 3600:g} h its beginning, in a row of its own"
    return Section("Little's law", LITTLE.format(seeds=_seeds(LITTLE_SEEDS), reference=_repeats(settings, what)), rows)


def second_opinion(settings: Settings) -> Section:
    rows, figure = opinion.second_opinion(reference=settings.reference, processes=settings.processes)
    text = OPINION.format(
        ours=len(opinion.OUR_SEEDS), seeds=_seeds(opinion.OUR_SEEDS), theirs=len(opinion.THEIR_SEEDS),
        their_seeds=_seeds(opinion.THEIR_SEEDS), measured_s=opinion.MEASURED_S, warmup_s=opinion.WARMUP_S,
        spacing_s=opinion.SPACING_S, lowest_p=opinion.LOWEST_P, reference=_repeats(settings, "the first seed"),
    )  # fmt: skip
    caption = "Waits at the three nodes and the response time, as Ciw has them and as they are here."
    return Section("A second opinion", text, rows, pictures={"second-opinion.png": Picture(figure, caption)})


def failures(settings: Settings) -> Section:
    rows = failure_rows(FAILURE_SEEDS, settings.reference, settings.processes)
    figure = draw_failures(FAILURE_SEEDS[0], settings.processes)
    text = FAILURES.format(seeds=_seeds(FAILURE_SEEDS), reference=_repeats(settings, "the first seed"))
    caption = "The published failures, rebuilt: goodput and hit ratio over time."
    return Section("Published failures", text, rows, pictures={"failures.png": Picture(figure, caption)})


def regions(settings: Settings) -> Section:
    measured = measure_regions(REGION_SEEDS, settings.processes, settings.progress)
    caption = "Where the system is stable, vulnerable and metastable: loads across, length of the trigger upwards."
    return Section(
        "Stable, vulnerable, metastable",
        REGIONS.format(seeds=_seeds(REGION_SEEDS)),
        more="\n".join(_counts(measured)),
        pictures={"regions.png": Picture(draw_regions(measured), caption)},
        files={"regions.csv": measured.write_csv},
        summary=f"{len(measured.outcomes)} runs",
    )


def _counts(measured: Regions) -> Iterator[str]:
    yield f"| points of the grid | {' | '.join(measured.policies)} |"
    yield f"|---|{'---|' * len(measured.policies)}"
    for region in Region:
        counts = (str(measured.count(policy, region)) for policy in measured.policies)
        yield f"| {MEANINGS[region]} | {' | '.join(counts)} |"
    yield ""


def controllers(settings: Settings) -> Section:
    return Section("Controllers", CONTROLLERS, cases=controller_cases())


def accounting(settings: Settings) -> Section:
    path = settings.kept / records.ACCOUNTING
    if not path.exists():
        return Section("Accounting", ACCOUNTING, more=ABSENT.format(command="make accounting"), summary="absent")
    kept = records.read_accounting(path)
    num_wrong = len(kept["violations"])
    summary = f"{num_wrong} violations in {kept['steps']:,} steps"
    return Section("Accounting", ACCOUNTING, more=records.accounting_text(kept), summary=summary, num_wrong=num_wrong)


def mutants(settings: Settings) -> Section:
    path = settings.kept / records.MUTANTS
    if not path.exists():
        return Section("Mutants", MUTANTS, more=ABSENT.format(command="make mutants"), summary="absent")
    verdicts = records.read_mutants(path)
    num_wrong = sum(not verdict.caught_by for verdict in verdicts)
    summary = f"{len(verdicts) - num_wrong} of {len(verdicts)} are caught"
    return Section("Mutants", MUTANTS, more=records.mutants_text(verdicts), summary=summary, num_wrong=num_wrong)


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
KEPT: Final = ("accounting", "mutants")
"""Those that quote what a campaign of its own has kept."""


def _seeds(seeds: range) -> str:
    return f"{seeds[0]} to {seeds[-1]}"


def _repeats(settings: Settings, what: str) -> str:
    return f"The reference engine repeats {what}." if settings.reference else "The reference engine was left out."
