"""Processes that try cases. One that crashes or hangs costs its case alone; another takes its place."""

from __future__ import annotations

import multiprocessing
import resource
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any, Final

from studies.faults.cases import Case
from studies.faults.trial import OTHER, try_case

VALID: Final = Case("system", ("name",), "text")
"""What both engines run before the first trial, so that they are compiled."""
MEMORY_BYTES: Final = 8 * 2**30
"""Of address space that a trial may take."""


class Worker:
    """A process that tries one case after the other."""

    def __init__(self, num_steps: int, limit_s: float) -> None:
        self._num_steps, self._limit_s = num_steps, limit_s
        self._process: Any = None
        self._pipe: Connection

    def run(self, case: Case) -> tuple[str, str]:
        """How the case ended, and what was said."""
        try:
            if self._process is None:
                self._start()
            self._pipe.send(case)
            if self._pipe.poll(self._limit_s):
                return self._pipe.recv()  # type: ignore[no-any-return]
            said = f"hangs: longer than {self._limit_s:g} s"
        except (EOFError, OSError):
            self._process.join(5)
            said = f"the process died, with exit code {self._process.exitcode}"
        self.close()
        return OTHER, said

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._num_steps), daemon=True)
        self._process.start()
        theirs.close()
        self._pipe.recv()  # the engine is compiled

    def close(self) -> None:
        """End the process, whatever it does."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._pipe.close()
            self._process = None


def run_all(cases: Sequence[Case], jobs: int, num_steps: int, limit_s: float) -> Iterator[tuple[Case, str, str]]:
    """Each case, how it ended and what was said, in order; `jobs` processes share the work."""
    shares = [cases[job::jobs] for job in range(jobs)]
    with ThreadPoolExecutor(jobs) as pool:
        ended = dict(
            pair for part in pool.map(lambda share: _share(share, num_steps, limit_s), shares) for pair in part
        )
    for case in cases:
        yield (case, *ended[case])


def _share(cases: Sequence[Case], num_steps: int, limit_s: float) -> list[tuple[Case, tuple[str, str]]]:
    worker = Worker(num_steps, limit_s)
    try:
        return [(case, worker.run(case)) for case in cases]
    finally:
        worker.close()


def _serve(pipe: Connection, num_steps: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    pipe.send(try_case(VALID, num_steps))
    while True:
        try:
            case = pipe.recv()
        except EOFError:
            return
        pipe.send(try_case(case, num_steps))
