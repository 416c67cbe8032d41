"""The times that a consumer's events wait: it logs no visits, so its batches are replayed from when its events came.

An event is emitted as its request ends, which the log of answers has. A batch lasts what docs/reference/model.md says
it does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

import numpy as np

from streamflow_env.engines.draws.distributions import duration_code, duration_ns
from streamflow_env.engines.draws.hashing import BATCHES, stream_key, uniform
from streamflow_env.system import Consumer, System
from streamflow_env.system.plans import EmitStep


def batch_times_ns(system: System, name: str, seed: int) -> Callable[[int], int]:
    """How long the batch of this number lasts, where nothing slows the consumer."""
    consumer = system.services[name]
    assert isinstance(consumer, Consumer)
    time = consumer.batch_time
    code = duration_code(time.mean_s, time.cv, time.distribution)
    key = np.uint64(stream_key(seed, BATCHES, system.service_names.index(name)))
    return lambda number: int(duration_ns(uniform(key, number), *code, 1.0))


def emitters(system: System, name: str) -> list[int]:
    """The classes whose requests emit to this consumer as they end.

    Raises:
        ValueError: one does so before its last step.
    """
    found = []
    for index, request_class in enumerate(system.classes.values()):
        emits = [isinstance(step, EmitStep) and step.emit == name for step in request_class.plan]
        if any(emits[:-1]):
            raise ValueError(f"{name}: an event is emitted before the end of a plan")
        if emits[-1]:
            found.append(index)
    return found


def replay(emitted_ns: Iterable[int], consumer: Consumer, batch_ns: Callable[[int], int]) -> tuple[int, int]:
    """The sum of the waits of the events that are not lost, and of the lengths of the batches; events in order."""
    queue: deque[int] = deque()
    waits_ns = busy_ns = 0
    num_batches, free_ns = 0, -1

    def begin(start_ns: int) -> None:
        nonlocal waits_ns, busy_ns, num_batches, free_ns
        for _ in range(min(consumer.batch_size, len(queue))):
            waits_ns += start_ns - queue.popleft()
        free_ns = start_ns + batch_ns(num_batches)
        busy_ns += free_ns - start_ns
        num_batches += 1

    for time_ns in emitted_ns:
        while queue and free_ns < time_ns:
            begin(free_ns)
        if len(queue) < consumer.queue_limit:
            queue.append(time_ns)
            if free_ns < time_ns:
                begin(time_ns)
    while queue:
        begin(free_ns)
    return waits_ns, busy_ns
