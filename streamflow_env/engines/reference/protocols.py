"""How modules of this engine see each other where a direct import would make a cycle.

Services and calls serve attempts, and attempts use services. So services and calls see an attempt as a `Request`.
Caches hand jobs to deferred queues, and deferred queues change entries of caches. So each sees the other's protocol.
"""

from __future__ import annotations

from typing import Literal, Protocol

from streamflow_env.engines.reference.simulation import Simulation, Waits

KeyOf = Literal["user", "item"]
"""Which key a step of a cache uses: user u has key u, item i has key `num_users` + i."""


class EntryStore(Protocol):
    """A cache, as a deferred queue sees it. An entry is named by its key and the time at which it was written."""

    def is_useful(self, key: int, written_ns: int) -> bool:
        """Whether this entry is still in the cache and has not expired."""

    def enrich(self, key: int, written_ns: int, quality_milli: int) -> bool:
        """Give this entry the quality `quality_milli` (thousandths). False if it is no longer in the cache."""


class JobQueue(Protocol):
    """A deferred queue, as a cache sees it."""

    def enqueue(self, cache: EntryStore, key: int, written_ns: int, quality_milli: int) -> None:
        """Add a job: ask the LLM later, then give this entry of `cache` the quality `quality_milli` (thousandths)."""


class Request(Protocol):
    """An attempt, as services and calls see it."""

    request: int
    """The number of the request."""
    number: int
    """The number of the attempt: 0 is the first, 1 the first retry."""
    user: int
    """The number of the user; -1 for a background request."""
    premium: int
    """1 for a premium user, else 0."""
    quality: int
    """The quality of the answer so far, in thousandths."""
    potential: int
    """What `quality` would be if the LLM had answered the call that was deferred, in thousandths."""
    deferred_to: JobQueue | None
    """The queue that will ask the LLM later, once a fill has written an entry for it."""
    missed_ns: dict[KeyOf, int]
    """When a lookup last missed, for each kind of key (ns)."""

    @property
    def sim(self) -> Simulation:
        """The simulation that the attempt is part of."""

    @property
    def is_interactive(self) -> bool:
        """Whether a user waits for the answer."""

    @property
    def item(self) -> int:
        """The number of the item that the request is about."""

    @property
    def llm_benefit(self) -> float:
        """How much the user benefits from the LLM: the user's rank among all users, in (0, 1)."""

    def u(self, purpose: int, step: int = 0, round_: int = 0) -> float:
        """The draw for `purpose`, uniform on (0, 1)."""

    def pause(self, duration_ns: int, step: int) -> Waits:
        """Wait `duration_ns` at `step`."""

    def degrade(self, milli: int, with_potential: bool = True) -> None:
        """Continue with a degraded answer, worth `milli` thousandths."""

    def use_entry(self, quality_milli: int) -> None:
        """Continue with a cache entry of this quality (thousandths)."""
