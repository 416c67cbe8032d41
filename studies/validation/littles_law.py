"""Little's law, L = λ·W, at every service of a system, to the last nanosecond.

An episode begins with nothing in flight. When its traffic is over, it goes on until nothing is in flight. Then the
integral of the number that waits (L·T, from the telemetry) equals the sum of the waits of all who came (λ·T·W, from the
log of visits), in whole nanoseconds. The same holds for requests in service and for cores in use. (Little 1961; Stidham
1974.) Consumers log no visits, so their waits are replayed. Deferred queues are left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streamflow_agents.parallel import run_all
from streamflow_env.engines import make_engine
from streamflow_env.engines.telemetry import OK, Telemetry
from streamflow_env.episode import Episode
from streamflow_env.paths import config_names
from streamflow_env.scenarios import load_scenario
from streamflow_env.system import Consumer, DeferredQueue, System, WorkerPool, load_system
from streamflow_env.system.plans import CallStep, ComputeStep, LookupStep, QueryStep, Step
from studies.validation.checks import Check
from studies.validation.littles_law_consumers import batch_times_ns, emitters, replay

REPEATED_S: Final = 3600.0
"""The reference engine, tens of times slower, repeats so much of an episode: all of it in most scenarios."""
LONGEST_EMPTYING_S: Final = 3600.0


@dataclass(frozen=True)
class EpisodeRun:
    """One episode of the shipped system with its default configuration, up to `end_s` (None: all of it)."""

    scenario: str
    seed: int
    engine: str
    end_s: float | None = None


def littles_law_checks(
    seeds: Sequence[int] = (0,),
    reference: bool = True,
    jobs: int = 1,
    scenarios: Sequence[str] | None = None,
    repeated_s: float = REPEATED_S,
) -> list[Check]:
    """A check for every shipped scenario (or those named): the largest relative difference over all services.

    With `reference` that engine repeats the first seed. Of an episode longer than `repeated_s` it repeats only the
    beginning, which is a check of its own.
    """
    names = config_names("scenarios") if scenarios is None else list(scenarios)
    whole = {name: [EpisodeRun(name, seed, "compiled") for seed in seeds] for name in names}
    repeated = [
        EpisodeRun(name, seeds[0], "reference", _end_s(name, seeds[0], repeated_s)) for name in names if reference
    ]
    beginnings = [replace(run, engine="compiled") for run in repeated if run.end_s is not None]
    runs = [*repeated, *beginnings, *itertools.chain(*whole.values())]
    worst = dict(zip(runs, run_all(worst_difference, runs, jobs, progress=False), strict=True))

    def check(name: str, of: Sequence[EpisodeRun]) -> Check:
        return _check(name, [worst[run] for run in of], worst.get(replace(of[0], engine="reference")))

    checks = [check(name, of) for name, of in whole.items()]
    return checks + [check(f"{run.scenario}, its first {repeated_s / 60:g} min", [run]) for run in beginnings]


def _end_s(scenario: str, seed: int, most_s: float) -> float | None:
    """Where to end an episode that is longer than `most_s`; None: it is not."""
    return most_s if load_scenario(scenario).episode(load_system(), seed).horizon_s > most_s else None


def _check(what: str, seen: Sequence[float], repeated: float | None) -> Check:
    measure = "∫ n dt against Σ times: largest relative difference over all services"
    return Check(what, measure, "", tuple(seen), "L = λ·W", low=0.0, high=0.0, reference=repeated)


def worst_difference(run: EpisodeRun) -> float:
    """The largest relative difference of the two sides over all services, their queues and their CPUs."""
    return max(accounts_of(load_system(), run).differences().values())


def accounts_of(system: System, run: EpisodeRun) -> Accounts:
    """Run an episode until all that came has left; both sides of every service's account."""
    episode = load_scenario(run.scenario).episode(system, run.seed)
    if run.end_s is not None:
        kept = round(run.end_s * 1e9 / episode.bin_ns)
        episode = replace(episode, horizon_s=run.end_s, rates_rps=episode.rates_rps[:, :kept])
    no_warmup = {"warmup_s": 0.0}  # its log would be lost; the episode has its traffic
    if episode.system is not None:
        episode = replace(episode, system=episode.system.model_copy(update=no_warmup))
    engine = make_engine(run.engine, system.model_copy(update=no_warmup), log=True)
    engine.reset(_that_ends(episode))
    accounts = Accounts(system, episode.seed)
    traffic_ns = episode.rates_rps.shape[1] * episode.bin_ns
    while True:
        telemetry = engine.step(system.control_table.default)
        accounts.add(telemetry)
        if telemetry.end_ns >= traffic_ns and _is_empty(telemetry):
            accounts.add_consumers()
            return accounts
        if telemetry.end_ns > traffic_ns + LONGEST_EMPTYING_S * 1e9:
            raise RuntimeError(f"{run}: {LONGEST_EMPTYING_S:g} s after the last arrival it is not empty")


def _that_ends(episode: Episode) -> Episode:
    """The episode with no first attempts after its last bin of traffic."""
    return replace(episode, rates_rps=np.pad(episode.rates_rps, ((0, 0), (0, 1))))


def _is_empty(telemetry: Telemetry) -> bool:
    classes = telemetry.classes
    return not (telemetry.services["in_flight"].any() or classes["in_flight"].any() or classes["thinking"].any())


@dataclass
class Accounts:
    """Of every service, in ns: what the visits add up to, and what the telemetry has integrated.

    Each array has the shape (3, num_services): the queue, those in service, those on a core.
    """

    system: System
    seed: int
    of_visits: NDArray[np.int64] = field(init=False)
    of_telemetry: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self.of_visits = np.zeros((3, len(self.system.services)), dtype=np.int64)
        self.of_telemetry = np.zeros_like(self.of_visits)
        self._is_cpu = _cpu_steps(self.system)
        self._ends: list[NDArray[Any]] = []

    def add(self, telemetry: Telemetry) -> None:
        """Another control interval."""
        visits = telemetry.visits
        is_cpu = self._is_cpu[visits["service"], visits["step"]]
        np.add.at(self.of_visits[0], visits["service"][~is_cpu], (visits["started_ns"] - visits["arrived_ns"])[~is_cpu])
        np.add.at(self.of_visits[1], visits["service"][~is_cpu], (visits["left_ns"] - visits["started_ns"])[~is_cpu])
        np.add.at(self.of_visits[2], visits["service"][is_cpu], (visits["left_ns"] - visits["started_ns"])[is_cpu])
        self.of_telemetry += np.stack([telemetry.services[name] for name in ("queue_ns", "busy_ns", "cpu_busy_ns")])
        for index, service in enumerate(self.system.services.values()):
            if isinstance(service, DeferredQueue):  # what it asks is in flight at the LLM, where it logs no visit
                asked_ns = telemetry.services["busy_ns"][index]
                self.of_visits[1, self.system.service_names.index(service.to)] += asked_ns

        answers = telemetry.answers[telemetry.answers["outcome"] == OK]
        self._ends.append(answers[["class_", "ended_ns"]])

    def add_consumers(self) -> None:
        """Once all has ended: what the events of the consumers add up to."""
        ends = np.sort(np.concatenate(self._ends), order="ended_ns")
        for index, (name, service) in enumerate(self.system.services.items()):
            if isinstance(service, Consumer):
                emitted_ns = ends["ended_ns"][np.isin(ends["class_"], emitters(self.system, name))]
                batch_ns = batch_times_ns(self.system, name, self.seed)
                self.of_visits[:2, index] = replay(emitted_ns.tolist(), service, batch_ns)

    def differences(self) -> dict[str, float]:
        """By service: the larger relative difference of its queue, of those in service and of those on its cores."""
        apart_ns = np.abs(self.of_visits - self.of_telemetry)
        relative = (apart_ns / np.maximum(1, np.maximum(self.of_visits, self.of_telemetry))).max(axis=0)
        return {
            name: float(relative[index])
            for index, (name, service) in enumerate(self.system.services.items())
            if not isinstance(service, DeferredQueue)
        }


def _cpu_steps(system: System) -> NDArray[np.bool_]:
    """Shape (num_services, num_steps): whether a visit to the service with this step is of its CPU.

    Raises:
        ValueError: it is in the plan of one class, and is not in that of another.
    """
    found = {
        (service, number, is_cpu)
        for request_class in system.classes.values()
        for service, number, is_cpu in _visits_of(system, request_class.plan, None, _Counter())
    } | {(system.users.entry, 0, False)}
    table = np.zeros((len(system.services), 1 + max(number for _, number, _ in found)), dtype=np.bool_)
    for service, number, is_cpu in found:
        if (service, number, not is_cpu) in found and isinstance(system.services[service], WorkerPool):
            raise ValueError(f"step {number} is a call of {service} in one class, and work on its CPU in another")
        table[system.service_names.index(service), number] = is_cpu
    return table


class _Counter:
    """Numbers the steps of a plan depth-first from 1, as docs/reference/model.md has it."""

    def __init__(self) -> None:
        self.last = 0


def _visits_of(
    system: System, plan: tuple[Step, ...], held: str | None, count: _Counter
) -> Iterator[tuple[str, int, bool]]:
    """(service, number of the step, whether on its CPU) of the visits that a plan can make; at least one a step."""
    for step in plan:
        count.last += 1
        number = count.last
        match step:
            case CallStep():
                yield step.call, number, False
                yield from _visits_of(system, step.holding, step.call, count)
            case QueryStep():
                yield system.calls[step.query].to, number, False
                if held is not None and system.calls[step.query].attempt_cpu is not None:
                    yield held, number, True
            case ComputeStep():
                assert held is not None
                yield held, number, True
            case LookupStep():
                yield step.lookup, number, False
                yield from _visits_of(system, step.on_miss, held, count)
            case _:
                yield system.users.entry, number, False
