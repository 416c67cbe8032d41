"""The life of one attempt: it arrives, is admitted, walks its plan and ends; its user may leave before, and retry."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import simpy

from streamflow_env.engines.draws.arrivals import llm_benefit_of
from streamflow_env.engines.draws.distributions import popular_key
from streamflow_env.engines.draws.hashing import ITEM, REQUESTS, RETRY, THINK, draw_index, stream_key, uniform
from streamflow_env.engines.reference.plan import Step
from streamflow_env.engines.reference.pools import WorkerPool
from streamflow_env.engines.reference.population import Population
from streamflow_env.engines.reference.service import Service, Visit
from streamflow_env.engines.reference.simulation import ARRIVAL, DEADLINE, STEP, Simulation, StepError, Waiting, Waits
from streamflow_env.engines.telemetry import (
    BREAKER_OPEN,
    CLASS_FIELDS,
    FAILED,
    FAULT,
    NUM_BUCKETS,
    OK,
    QUEUE_FULL,
    SHED,
    bucket,
)
from streamflow_env.engines.telemetry import DEADLINE as DEADLINE_OUTCOME

if TYPE_CHECKING:
    from streamflow_env.engines.reference.cache import KeyOf
    from streamflow_env.engines.reference.deferred import DeferredQueue

FAILURES = {QUEUE_FULL: "failed_queue_full", FAULT: "failed_fault", FAILED: "failed_dependency", SHED: "failed_shed"}
"""How each cause of failure is counted."""
ENTRY_STEP = 0


class ClassOfRequests:
    """A request class: its plan, and the counters of each of its two priorities."""

    def __init__(self, index: int, interactive: bool, plan: tuple[Step, ...]) -> None:
        self.index = index
        self.interactive = interactive
        self.plan = plan
        self.counts = [dict.fromkeys(CLASS_FIELDS, 0) for _ in range(2)]
        self.response = [[0] * NUM_BUCKETS for _ in range(2)]

    def measure(self) -> list[dict[str, int]]:
        """The counters of the interval that ends now, by priority; new ones begin, gauges go on."""
        ended, self.counts = self.counts, [dict.fromkeys(CLASS_FIELDS, 0) for _ in range(2)]
        for new, old in zip(self.counts, ended, strict=True):
            new["in_flight"], new["thinking"] = old["in_flight"], old["thinking"]
        return ended

    def measure_response(self) -> list[list[int]]:
        """The histograms of response times of the interval that ends now, by priority; new ones begin."""
        ended, self.response = self.response, [[0] * NUM_BUCKETS for _ in range(2)]
        return ended


@dataclass(frozen=True, slots=True)
class Sender:
    """Who asks: request number, user (-1: nobody) and priority (0 or 1). The same in all attempts of an intent."""

    request: int
    user: int
    premium: int


class Attempt:
    """One attempt, sent at `sent_ns`. `life` is its SimPy process."""

    __slots__ = (
        "_entry_visit",
        "_has_ended",
        "_running",
        "_sender",
        "abandoned",
        "class_",
        "deferred_to",
        "first_lookup_hit",
        "held",
        "is_generic",
        "key",
        "missed_ns",
        "number",
        "population",
        "potential",
        "premium",
        "quality",
        "queued_at",
        "request",
        "sent_ns",
        "sim",
        "user",
    )  # fmt: skip

    def __init__(
        self,
        sim: Simulation,
        population: Population,
        class_: ClassOfRequests,
        sender: Sender,
        number: int,
        sent_ns: int,
    ) -> None:
        self.sim = sim
        self.population = population
        self.class_ = class_
        self._sender = sender
        self.request = sender.request
        self.user = sender.user
        self.premium = sender.premium
        self.number = number
        self.sent_ns = sent_ns
        self.key = np.uint64(stream_key(sim.seed, REQUESTS, sender.request))
        self.quality = 1000  # thousandths
        self.potential = 1000  # what the quality would be, had the call that was deferred been answered
        self.deferred_to: DeferredQueue | None = None  # who shall ask again, once a fill has written an entry for it
        self.first_lookup_hit: bool | None = None  # whether the first lookup found an entry, once there was one
        self.missed_ns: dict[KeyOf, int] = {}  # when a lookup last missed the user's key, and the item's
        self.is_generic = False  # a call took a fallback, or was exhausted
        self.abandoned = False  # its user has gone, its work goes on
        self._has_ended = False  # in the eyes of its user
        self._running: Service = population.entry  # where the outermost running step happens
        self._entry_visit: Visit | None = None
        self.queued_at: tuple[WorkerPool, Visit] | None = None  # the pool in whose queue it waits
        self.held: list[tuple[WorkerPool, Visit]] = []  # workers of nested pools, the innermost last

    # What the steps of a plan use

    def u(self, purpose: int, step: int = 0, round_: int = 0) -> float:
        """The draw of this attempt for `purpose`, uniform on (0, 1)."""
        return float(uniform(self.key, draw_index(purpose, self.number, step, round_)))

    def pause(self, duration_ns: int, step: int) -> Waits:
        """A wait of `step`; one of 0 ns is no wait."""
        return (self.sim.wake(duration_ns, STEP, self.request, self.number, step),) if duration_ns else ()

    @property
    def item(self) -> int:
        """What the request is about, the same in all its attempts."""
        u = uniform(self.key, draw_index(ITEM, 0, 0, 0))
        return int(popular_key(u, self.population.num_items, self.population.item_exponent))

    @property
    def llm_benefit(self) -> float:
        """How badly precomputed preferences fit its user."""
        return float(llm_benefit_of(self.sim.seed, self.user, self.request))

    def take_quality(self, milli: int, for_good: bool = True) -> None:
        """Go on with an answer that is not in earnest, worth `milli` thousandths; a deferred ask may yet mend it."""
        self.quality = self.quality * milli // 1000
        if for_good:
            self.potential = self.potential * milli // 1000
        self.is_generic = True

    def take_from_cache(self, quality_milli: int) -> None:
        """Go on with an entry of a cache."""
        self.quality = self.quality * quality_milli // 1000
        self.potential = self.potential * quality_milli // 1000

    def wait_for_worker(self, pool: WorkerPool, step: int) -> Generator[simpy.Event, None, Visit]:
        """Enter `pool`, and wait in its queue where that must be."""
        visit = pool.enter(self, step)
        if visit.grant is not None:
            self.queued_at = pool, visit
            yield visit.grant
            self.queued_at = None
        return visit

    # Its life

    def life(self) -> Waiting:
        """From the arrival at the system to the end of the last work for it."""
        arrives_ns = self.sent_ns + self.population.network_ns
        yield self.sim.wake(arrives_ns - self.sim.now, ARRIVAL, self.request, self.number)
        self._arrive()
        if self.class_.interactive and not self.population.may_send(self.sim.now):
            self._log_answer(BREAKER_OPEN)
            self._maybe_retry()
            return
        self._counts["attempts"] += 1
        self._counts["in_flight"] += 1
        try:
            if self.class_.interactive:
                yield from self._be_admitted()
            yield from self.walk(self.class_.plan)
        except StepError as failure:
            self._unwind()
            if not self.abandoned:
                self._fail(failure.outcome)
            return
        if not self.abandoned:
            self._be_answered()

    def _arrive(self) -> None:
        if self.number > 0:
            self._counts["thinking"] -= 1
            return
        self._counts["intents"] += 1
        if self.class_.interactive:
            self.population.retry_budget.pay_in()

    def _be_admitted(self) -> Waiting:
        """Pass the admission control, enter the entry pool and work there."""
        left_ns = max(0, self.sent_ns + self.population.deadline_ns - self.sim.now)
        self.sim.wake(left_ns, DEADLINE, self.request, self.number).callbacks.append(self._on_deadline)
        entry = self.population.entry
        entry.be_admitted(self, ENTRY_STEP)
        self._entry_visit = yield from self.wait_for_worker(entry, ENTRY_STEP)
        yield from self.pause(entry.work_ns(self, ENTRY_STEP), ENTRY_STEP)

    def walk(self, steps: tuple[Step, ...]) -> Waiting:
        """Walk steps in turn. The entry begins none for a abandoned user; what a nested pool holds goes on."""
        for step in steps:
            if not self.held:
                if self.abandoned:
                    return
                self._running = step.service
            yield from step.walk(self)

    def _unwind(self) -> None:
        """Give back the workers of nested pools, innermost first."""
        while self.held:
            pool, visit = self.held.pop()
            pool.fail(visit)

    # Its end

    def _be_answered(self) -> None:
        response_ns = self._end(OK)
        counts, population = self._counts, self.population
        if response_ns <= population.target_ns or not self.class_.interactive:
            counts["within_sla"] += 1
        else:
            counts["late"] += 1
            counts["lateness_ns"] += min(response_ns, population.worst_ns) - population.target_ns
        counts["quality_milli"] += self.quality
        counts["intents_answered"] += 1
        if self.first_lookup_hit:
            counts["hit_answers"] += 1
            counts["hit_response_ns"] += response_ns
        elif self.first_lookup_hit is not None:
            counts["miss_answers"] += 1
            counts["miss_response_ns"] += response_ns
            counts["personalised"] += not self.is_generic
        if self._entry_visit is not None:
            population.entry.leave(self._entry_visit)

    def _fail(self, outcome: int) -> None:
        self._end(outcome)
        self._counts[FAILURES[outcome]] += 1
        self._maybe_retry()
        if self._entry_visit is not None:
            self.population.entry.fail(self._entry_visit)

    def _on_deadline(self, _: simpy.Event) -> None:
        """The user gives up, if there is no answer yet; work that is under way goes on."""
        if self._has_ended:
            return
        self._end(DEADLINE_OUTCOME)
        self._counts["failed_deadline"] += 1
        self._running.counts["deadlines"] += 1
        self._maybe_retry()
        self.abandoned = True
        if self._entry_visit is not None:
            self.population.entry.fail(self._entry_visit, DEADLINE_OUTCOME)
        if self.queued_at is not None:
            pool, visit = self.queued_at
            # the entry's worker, just given back, may be what it waited for: then it waits no more
            if not pool.config.serves_abandoned and visit in pool.workers.queue:
                pool.depart(visit)  # nobody will ever grant it a worker: its process never goes on
                self._unwind()

    def _end(self, outcome: int) -> int:
        """What every end has in common; the response time in ns."""
        self._has_ended = True
        now = self.sim.now
        response_ns = now - self.sent_ns
        self._counts["in_flight"] -= 1
        self._counts["response_ns"] += response_ns
        self.class_.response[self.premium][bucket(response_ns)] += 1
        if self.class_.interactive:
            self.population.learn(outcome != OK, response_ns, now)
        self._log_answer(outcome)
        return response_ns

    def _log_answer(self, outcome: int) -> None:
        if self.sim.log:
            quality = self.quality if outcome == OK else 0
            self.sim.answers.append(
                (
                    self.request, self.number, self.class_.index, self.premium, self.user,
                    self.sent_ns, self.sim.now, outcome, quality,
                )
            )  # fmt: skip

    def _maybe_retry(self) -> None:
        """The user thinks and tries again, or gives up for good."""
        population = self.population
        retries = (
            self.class_.interactive
            and self.number < population.max_retries
            and self.u(RETRY) < population.retry_fraction
            and population.retry_budget.grants()
        )
        if not retries:
            self._counts["intents_failed"] += 1
            return
        self._counts["thinking"] += 1
        sent_ns = self.sim.now + population.think_ns(self.u(THINK), self.number)
        again = Attempt(self.sim, population, self.class_, self._sender, self.number + 1, sent_ns)
        self.sim.process(again.life())

    @property
    def _counts(self) -> dict[str, int]:
        return self.class_.counts[self.premium]
