"""The same function on many items, in parallel processes: the one pool that evaluation and studies use."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from types import TracebackType
from typing import Any, Self, TypeVar

from tqdm import tqdm

from streamflow_env.errors import ConfigError

Item = TypeVar("Item")
Result = TypeVar("Result")


class Workers:
    """`jobs` processes that stay open between calls; of one job this process works itself. A context manager.

    `prepare(*arguments)` is called once in each process, before its first item. Functions, items and results must be
    such that they can be pickled. The results do not depend on `jobs`.

    Raises:
        ConfigError: fewer than one job.
    """

    def __init__(self, jobs: int, prepare: Callable[..., None] | None = None, *arguments: Any) -> None:
        if jobs < 1:
            raise ConfigError(f"jobs {jobs}: must be at least 1")
        self._pool: ProcessPoolExecutor | None = None
        if jobs > 1:
            self._pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), prepare, arguments)
        elif prepare is not None:
            prepare(*arguments)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=kind is None, cancel_futures=kind is not None)

    def as_completed(self, function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[tuple[int, Result]]:
        """The number of each item and its result, as they are completed.

        What `function` raises is raised here, and items that have not begun are dropped.
        """
        if self._pool is None:
            yield from ((number, function(item)) for number, item in enumerate(items))
            return
        futures = {self._pool.submit(function, item): number for number, item in enumerate(items)}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            for future in futures:
                future.cancel()

    def run(
        self, function: Callable[[Item], Result], items: Sequence[Item], title: str = "", *, progress: bool = False
    ) -> list[Result]:
        """The results in the order of `items`; with `progress` a bar called `title` is shown."""
        results: dict[int, Result] = {}
        with tqdm(total=len(items), desc=title or None, disable=not progress, dynamic_ncols=True) as bar:
            for number, result in self.as_completed(function, items):
                results[number] = result
                bar.update()
        return [results[number] for number in range(len(items))]


def run_all(function: Callable[[Item], Result], items: Sequence[Item], jobs: int, progress: bool) -> list[Result]:
    """`function` of every item, in the order of the items. Raises as `Workers` does."""
    with Workers(jobs) as workers:
        return workers.run(function, items, progress=progress)
