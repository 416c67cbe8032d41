"""The same function on many tasks, in parallel processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

from tqdm import tqdm

Task = TypeVar("Task")
Outcome = TypeVar("Outcome")


def run_all(function: Callable[[Task], Outcome], tasks: Sequence[Task], jobs: int, progress: bool) -> list[Outcome]:
    """The outcomes in the order of the tasks. What `function` raises is raised, and what has not begun is left."""
    if jobs == 1:
        return [function(task) for task in tqdm(tasks, disable=not progress)]
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        futures = [pool.submit(function, task) for task in tasks]
        try:
            return [future.result() for future in tqdm(futures, disable=not progress)]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
