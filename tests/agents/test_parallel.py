"""Work in processes: the same results in the same order with any number of jobs, errors raised, workers prepared."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamflow_agents.parallel import Workers, run_all
from streamflow_env.errors import ConfigError

PREPARED: list[str] = []


def square(number: int) -> int:
    return number**2


def fail_at_once(item: tuple[int, Path]) -> None:
    """The first item fails; each of the others takes a while and leaves a file."""
    number, folder = item
    if number == 0:
        raise ValueError("number 0")
    time.sleep(0.2)
    (folder / str(number)).touch()


def prepare(word: str) -> None:
    PREPARED.append(word)


def prepared(_: int) -> tuple[int, list[str]]:
    return os.getpid(), PREPARED


@pytest.fixture(scope="module")
def two() -> Iterator[Workers]:
    """Two processes, which all tests share: to start one takes seconds."""
    with Workers(2, prepare, "ready") as workers:
        yield workers


@pytest.fixture
def one() -> Iterator[Workers]:
    PREPARED.clear()
    with Workers(1, prepare, "here") as workers:
        yield workers


@pytest.fixture(params=["one", "two"])
def workers(request: pytest.FixtureRequest) -> Workers:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Workers)
    return found


def test_results_come_in_the_order_of_the_items(workers: Workers) -> None:
    assert workers.run(square, [3, 1, 3, 2]) == [9, 1, 9, 4]
    assert run_all(square, [3, 1], jobs=1, progress=False) == [9, 1]


def test_the_number_of_jobs_must_be_positive() -> None:
    with pytest.raises(ConfigError, match="jobs 0"):
        run_all(square, [1], 0, progress=False)


def test_an_error_is_raised_and_what_has_not_begun_is_dropped(workers: Workers, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="number 0"):
        workers.run(fail_at_once, [(number, tmp_path) for number in range(40)])
    assert workers.run(square, [5]) == [25]
    assert len(list(tmp_path.iterdir())) < 20


def test_each_process_is_prepared_once_and_stays_open(two: Workers) -> None:
    seen = [*two.run(prepared, range(8)), *two.run(prepared, range(8))]
    assert len({process for process, _ in seen} - {os.getpid()}) in (1, 2)
    assert all(words == ["ready"] for _, words in seen)


def test_of_one_job_this_process_works(one: Workers) -> None:
    assert one.run(prepared, [0]) == [(os.getpid(), ["here"])]
