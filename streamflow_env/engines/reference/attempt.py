"""One attempt: it arrives, is admitted, walks its plan and ends. Its user may give up before that, and may retry."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import simpy

from streamflow_env.engines.draws.arrivals import llm_benefit_of
from streamflow_env.engines.draws.distributions import popular_key
from streamflow_env.engines.draws.hashing import ITEM, REQUESTS, draw_index, stream_key, uniform
from streamflow_env.engines.reference.classes import RequestClass
from streamflow_env.engines.reference.clients import Clients
from streamflow_env.engines.reference.pools import WorkerPool
from streamflow_env.engines.reference.protocols import JobQueue, KeyOf
from streamflow_env.engines.reference.service import Service, Visit
from streamflow_env.engines.reference.simulation import ARRIVAL, DEADLINE, STEP, Simulation, StepError, Waiting, Waits
from streamflow_env.engines.telemetry import BREAKER_OPEN, FAILED, FAULT, OK, QUEUE_FULL, SHED, bucket
from streamflow_env.engines.telemetry import DEADLINE as DEADLINE_OUTCOME

FAILURES = {QUEUE_FULL: "failed_queue_full", FAULT: "failed_fault", FAILED: "failed_dependency", SHED: "failed_shed"}
"""The counter for each cause of failure."""
ENTRY_STEP = 0


class Step(Protocol):
    """A step of a plan; `service` is where it happens. `plan` has the kinds of steps."""

    @property
    def service(self) -> Service: ...

    def walk(self, attempt: Attempt) -> Waits: ...


@dataclass(frozen=True, slots=True)
class Intent:
    """What a user wants; the same in all attempts. Request number, user (-1: none), priority (0 or 1), class, plan."""

    request: int
    user: int
    premium: int
    class_: RequestClass
    plan: tuple[Step, ...]


class Attempt:
    """Attempt number `number` of `intent`, sent at `sent_ns`. `run` is its SimPy process."""

    __slots__ = (
        "_entry_visit",
        "_has_ended",
        "_running",
        "abandoned",
        "class_",
        "clients",
        "deferred_to",
        "first_lookup_hit",
        "held",
        "intent",
        "is_degraded",
        "key",
        "missed_ns",
        "number",
        "potential",
        "premium",
        "quality",
        "queued_at",
        "request",
        "sent_ns",
        "sim",
        "user",
    )  # fmt: skip

    def __init__(self, sim: Simulation, clients: Clients, intent: Intent, number: int, sent_ns: int) -> None:
        self.sim = sim
        self.clients = clients
        self.intent = intent
        self.class_ = intent.class_
        self.request = intent.request
        self.user = intent.user
        self.premium = intent.premium
        self.number = number
        self.sent_ns = sent_ns
        self.key = np.uint64(stream_key(sim.seed, REQUESTS, intent.request))
        self.quality = 1000  # thousandths
        self.potential = 1000  # the quality if the call that was deferred had been answered, in thousandths
        self.deferred_to: JobQueue | None = None  # asks the LLM later, once a fill has written an entry
        self.first_lookup_hit: bool | None = None  # None: no lookup yet
        self.missed_ns: dict[KeyOf, int] = {}  # when a lookup last missed, for each kind of key
        self.is_degraded = False  # a call took its fallback, or was exhausted
        self.abandoned = False  # its user has gone; the running work goes on
        self._has_ended = False  # for its user
        self._running: Service = clients.entry  # where the outermost running step happens
        self._entry_visit: Visit | None = None
        self.queued_at: tuple[WorkerPool, Visit] | None = None  # the pool in whose queue it waits
        self.held: list[tuple[WorkerPool, Visit]] = []  # workers of nested pools, the innermost last

    # What services, calls and steps use

    def u(self, purpose: int, step: int = 0, round_: int = 0) -> float:
        """The draw of this attempt for `purpose`, uniform on (0, 1)."""
        return float(uniform(self.key, draw_index(purpose, self.number, step, round_)))

    def pause(self, duration_ns: int, step: int) -> Waits:
        """Wait `duration_ns` at `step`. A duration of 0 ns needs no event."""
        return (self.sim.wake(duration_ns, STEP, self.request, self.number, step),) if duration_ns else ()

    @property
    def is_interactive(self) -> bool:
        """Whether a user waits for the answer."""
        return self.class_.is_interactive

    @property
    def item(self) -> int:
        """The number of the item that the request is about; the same in all attempts."""
        u = uniform(self.key, draw_index(ITEM, 0, 0, 0))
        return int(popular_key(u, self.clients.num_items, self.clients.item_exponent))

    @property
    def llm_benefit(self) -> float:
        """How much the user benefits from the LLM: the user's rank among all users, in (0, 1)."""
        return float(llm_benefit_of(self.sim.seed, self.user, self.request))

    def degrade(self, milli: int, with_potential: bool = True) -> None:
        """Continue with a degraded answer, worth `milli` thousandths.

        `with_potential` is False if a deferred queue will ask the LLM later: then the potential stays.
        """
        self.quality = self.quality * milli // 1000
        if with_potential:
            self.potential = self.potential * milli // 1000
        self.is_degraded = True

    def use_entry(self, quality_milli: int) -> None:
        """Continue with a cache entry of this quality (thousandths)."""
        self.quality = self.quality * quality_milli // 1000
        self.potential = self.potential * quality_milli // 1000

    def wait_for_worker(self, pool: WorkerPool, step: int) -> Generator[simpy.Event, None, Visit]:
        """Enter `pool`; wait in its queue if no worker is free."""
        visit = pool.enter(self, step)
        if visit.grant is not None:
            self.queued_at = pool, visit
            yield visit.grant
            self.queued_at = None
        return visit

    # From arrival to end

    def run(self) -> Waiting:
        """From the arrival at the system to the end of all work for this attempt."""
        arrives_ns = self.sent_ns + self.clients.network_ns
        yield self.sim.wake(arrives_ns - self.sim.now, ARRIVAL, self.request, self.number)
        self._arrive()
        if self.is_interactive and not self.clients.may_send(self.sim.now):
            self._log_answer(BREAKER_OPEN)
            self._maybe_retry()
            return
        self._counts["attempts"] += 1
        self._counts["in_flight"] += 1
        try:
            if self.is_interactive:
                yield from self._be_admitted()
            yield from self.walk(self.intent.plan)
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
        if self.is_interactive:
            self.clients.retry_budget.pay_in()

    def _be_admitted(self) -> Waiting:
        """Pass the admission control, enter the entry pool and work there."""
        left_ns = max(0, self.sent_ns + self.clients.deadline_ns - self.sim.now)
        self.sim.wake(left_ns, DEADLINE, self.request, self.number).callbacks.append(self._on_deadline)
        entry = self.clients.entry
        entry.be_admitted(self, ENTRY_STEP)
        self._entry_visit = yield from self.wait_for_worker(entry, ENTRY_STEP)
        yield from self.pause(entry.work_ns(self, ENTRY_STEP), ENTRY_STEP)

    def walk(self, steps: tuple[Step, ...]) -> Waiting:
        """Walk `steps` in turn. An abandoned attempt starts no further outermost step; nested steps go on."""
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

    # Ends

    def _be_answered(self) -> None:
        response_ns = self._end(OK)
        counts, clients = self._counts, self.clients
        if response_ns <= clients.target_ns or not self.is_interactive:
            counts["within_sla"] += 1
        else:
            counts["late"] += 1
            counts["lateness_ns"] += min(response_ns, clients.worst_ns) - clients.target_ns
        counts["quality_milli"] += self.quality
        counts["intents_answered"] += 1
        if self.first_lookup_hit:
            counts["hit_answers"] += 1
            counts["hit_response_ns"] += response_ns
        elif self.first_lookup_hit is not None:
            counts["miss_answers"] += 1
            counts["miss_response_ns"] += response_ns
            counts["personalised"] += not self.is_degraded
        if self._entry_visit is not None:
            clients.entry.leave(self._entry_visit)

    def _fail(self, outcome: int) -> None:
        self._end(outcome)
        self._counts[FAILURES[outcome]] += 1
        self._maybe_retry()
        if self._entry_visit is not None:
            self.clients.entry.fail(self._entry_visit)

    def _on_deadline(self, _: simpy.Event) -> None:
        """The user gives up if there is no answer yet. Running work goes on."""
        if self._has_ended:
            return
        self._end(DEADLINE_OUTCOME)
        self._counts["failed_deadline"] += 1
        self._running.counts["deadlines"] += 1
        self._maybe_retry()
        self.abandoned = True
        if self._entry_visit is not None:
            self.clients.entry.fail(self._entry_visit, DEADLINE_OUTCOME)
        if self.queued_at is not None:
            pool, visit = self.queued_at
            # It may have waited for the entry's worker, which was given back just now. Then it is not in the queue.
            if not pool.config.serves_abandoned and visit in pool.workers.queue:
                pool.abandon(visit)  # its grant never comes, so its process does not go on
                self._unwind()

    def _end(self, outcome: int) -> int:
        """Do what all ends have in common; the response time in ns."""
        self._has_ended = True
        now = self.sim.now
        response_ns = now - self.sent_ns
        self._counts["in_flight"] -= 1
        self._counts["response_ns"] += response_ns
        self.class_.response[self.premium][bucket(response_ns)] += 1
        if self.is_interactive:
            self.clients.record(outcome != OK, response_ns, now)
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
        """The user thinks and tries again, or the intent has failed."""
        if not self.clients.retries(self):
            self._counts["intents_failed"] += 1
            return
        self._counts["thinking"] += 1
        sent_ns = self.sim.now + self.clients.think_ns(self)
        again = Attempt(self.sim, self.clients, self.intent, self.number + 1, sent_ns)
        self.sim.process(again.run())

    @property
    def _counts(self) -> dict[str, int]:
        return self.class_.counts[self.premium]
