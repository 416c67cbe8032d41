"""The state of an engine: set by the seed alone, kept by pickling, cheap to reset, and never out of balance."""

from __future__ import annotations

import hashlib
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytest
import yaml

from streamflow_env.engines import ENGINE_NAMES, Engine, make_engine, warm_start
from streamflow_env.engines.compiled import engine as compiled_engine
from streamflow_env.engines.draws import arrivals
from streamflow_env.engines.draws.arrivals import SECOND_NS
from streamflow_env.engines.telemetry import Telemetry
from streamflow_env.engines.warm_start import warm_state
from streamflow_env.episode import Change, Episode
from streamflow_env.errors import ConfigError
from streamflow_env.paths import CONFIGS
from streamflow_env.system import load_system
from studies.accounting.balance import accounting_errors
from studies.equivalence.comparison import actions
from tests.engines.test_other_system import TEXTS, episode_of
from tests.engines.tiny import constant, pool, tiny_system

SYSTEM = load_system()
RATES = np.array([[request_class.normal_rate_rps] for request_class in SYSTEM.classes.values()])
INCIDENTS = (
    Change(62 * SECOND_NS, "cache", "invalidate_fraction", 0.6),
    Change(65 * SECOND_NS, "llm", "quota_factor", 0.3),
    Change(70 * SECOND_NS, "auth", "slowdown_factor", 4.0),
    Change(92 * SECOND_NS, "auth", "slowdown_factor", 1.0),
)
ENGINES = pytest.mark.parametrize("name", ENGINE_NAMES)


def episode(seed: int = 3, level: float = 1.5) -> Episode:
    return Episode("state", seed, 3600.0, 12.0, SECOND_NS, level * RATES, INCIDENTS)


def run(engine: Engine, num_intervals: int, seed: int = 3, mode: Any = "random") -> list[Telemetry]:
    settings = actions(SYSTEM, mode, seed)
    return [engine.reset(episode(seed)), *(engine.step(next(settings)) for _ in range(num_intervals))]


def assert_same(ours: list[Telemetry], theirs: list[Telemetry]) -> None:
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.differences(other) == []


def num_intervals(name: str) -> int:
    """The reference engine is the slower one."""
    return {"compiled": 40, "reference": 4}[name]


@ENGINES
def test_same_seed_same_trajectory(name: str) -> None:
    engine, steps = make_engine(name, SYSTEM, log=True), num_intervals(name)
    first = run(engine, steps)
    assert_same(run(make_engine(name, load_system("streamflow"), log=True), steps), first)
    assert_same(run(engine, steps), first)  # a reset leaves nothing of the episode before


@ENGINES
def test_another_seed_is_another_trajectory(name: str) -> None:
    engine = make_engine(name, SYSTEM)
    one, other = run(engine, 1, seed=3), run(engine, 1, seed=4)
    assert all(a.differences(b) for a, b in zip(one, other, strict=True))


@ENGINES
def test_a_log_changes_nothing(name: str) -> None:
    logged, silent = (run(make_engine(name, SYSTEM, log=log), 3) for log in (True, False))
    for with_log, without in zip(logged, silent, strict=True):
        assert with_log.differences(without) == ["visits", "answers"]


@ENGINES
def test_telemetry_is_not_changed_by_later_intervals(name: str) -> None:
    system = load_system(yaml.safe_load(TEXTS["library"]))  # one call, one class: views would be easy to mistake
    engine = make_engine(name, system, log=True)
    kept = [engine.reset(episode_of(system, 0, 2.0))]
    copies = [pickle.loads(pickle.dumps(kept[0]))]
    for _ in range(4):
        controls = system.control_table.default.copy()
        kept.append(engine.step(controls))
        copies.append(pickle.loads(pickle.dumps(kept[-1])))
        controls[:] = 1.0
    assert_same(kept, copies)


@ENGINES
def test_a_pickled_engine_goes_on_identically(name: str) -> None:
    engine, steps = make_engine(name, SYSTEM, log=True), num_intervals(name) // 2
    run(engine, steps)
    copy = pickle.loads(pickle.dumps(engine))
    ours, theirs = ([e.step(SYSTEM.control_table.default) for _ in range(steps)] for e in (engine, copy))
    assert_same(ours, theirs)
    assert sum(len(t.visits) for t in theirs) > 0


@ENGINES
def test_an_engine_is_pickled_before_its_first_episode(name: str) -> None:
    assert_same(run(pickle.loads(pickle.dumps(make_engine(name, SYSTEM))), 1), run(make_engine(name, SYSTEM), 1))


@ENGINES
def test_step_comes_after_reset(name: str) -> None:
    with pytest.raises((AssertionError, RuntimeError), match="reset"):
        make_engine(name, SYSTEM).step(SYSTEM.control_table.default)


def test_an_unknown_engine() -> None:
    with pytest.raises(ConfigError, match="engine 'quantum': must be one of compiled, reference"):
        make_engine("quantum", SYSTEM)


@pytest.mark.parametrize("level", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("name", ENGINE_NAMES)
def test_accounts_balance_at_every_step(name: str, level: float) -> None:
    settings = actions(SYSTEM, "random", seed=9)
    engine = make_engine(name, SYSTEM)
    previous = engine.reset(episode(seed=8, level=level))
    for _ in range({"compiled": 120, "reference": 3}[name]):
        current = engine.step(next(settings))
        assert accounting_errors(previous, current) == []
        assert current.start_ns == previous.end_ns
        previous = current


def test_a_reset_simulates_the_warm_up_and_no_more() -> None:
    """The warm caches are computed once and for all seeds; what is left is as many intervals as the warm-up has."""
    first, second = (warm_state(SYSTEM, episode(seed).rates_rps[:, 0]) for seed in (1, 2))
    assert first is second
    assert not any(entries.flags.writeable for entries in first.entries.values())
    found = make_engine("compiled", SYSTEM).reset(episode())
    assert found.end_ns == round(SYSTEM.warmup_s * SECOND_NS)
    assert found.interval_s == pytest.approx(SYSTEM.control_interval_s)


def test_a_reset_costs_less_than_a_few_steps() -> None:
    engine, default = make_engine("compiled", SYSTEM), SYSTEM.control_table.default
    engine.reset(episode())
    num_warmup = SYSTEM.warmup_s / SYSTEM.control_interval_s

    def seconds(work: Callable[[], object], repetitions: int = 10) -> float:
        times = []
        for _ in range(repetitions):
            began = time.process_time()
            work()
            times.append(time.process_time() - began)
        return min(times)

    reset_s = seconds(lambda: engine.reset(episode()))
    step_s = seconds(lambda: [engine.step(default) for _ in range(10)]) / 10
    assert reset_s < (num_warmup + 6) * step_s, "the warm-up is simulated; the rest must be a few steps' worth"


def test_arrays_that_grow_do_not_change_the_trajectory(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = run(make_engine("compiled", SYSTEM, log=True), 20)

    class TinyBuffer(arrivals.Arrivals):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.stream = self.stream._replace(buffer=self.stream.buffer[:1].copy())

    monkeypatch.setattr(compiled_engine, "_FIRST_SLOTS", 2)
    monkeypatch.setattr(compiled_engine, "_FIRST_EVENTS", 32)
    monkeypatch.setattr(compiled_engine, "Arrivals", TinyBuffer)
    engine = make_engine("compiled", SYSTEM, log=True)
    assert_same(run(engine, 20), usual)
    arrays = vars(engine)["_state"]._asdict() | vars(engine)["_arrivals"].stream._asdict()
    assert len(arrays["visits"]) == 1 << 16, "only what was short has grown"
    assert arrays["requests"].size > 1000
    assert len(arrays["heap"]) > 1000
    assert len(arrays["buffer"]) > 100


# With the JIT off


def fingerprint() -> str:
    """A digest of everything that two small systems do under changing controls."""
    digest = hashlib.sha256()
    for name in ("library", "warehouse"):
        system = load_system(yaml.safe_load(TEXTS[name]))
        engine = make_engine("compiled", system, log=True)
        settings = actions(system, "random", seed=2)
        telemetry = [engine.reset(episode_of(system, 1, 0.7)), *(engine.step(next(settings)) for _ in range(5))]
        for t in telemetry:
            for part in (t.services, t.classes, t.calls, t.sojourn, t.response, t.visits, t.answers):
                digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()


class Record:
    """A record of an array as kernels see it: fields are attributes. (In Python they are keys.)"""

    def __init__(self, record: Any) -> None:
        self.__dict__["record"] = record

    def __getattr__(self, name: str) -> Any:
        return self.record[name]

    def __setattr__(self, name: str, value: Any) -> None:
        self.record[name] = value


class Records:
    """An array of records as kernels see it."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.size = array, array.size

    def __getitem__(self, index: int) -> Record:
        return Record(self.array[index])

    def view(self, dtype: type[np.generic]) -> np.ndarray:
        return self.array.view(dtype)


def as_kernels_see(value: Any) -> Any:
    if isinstance(value, np.void):
        return Record(value)
    if hasattr(value, "_fields"):
        return type(value)(*map(as_kernels_see, value))
    return Records(value) if isinstance(value, np.ndarray) and value.dtype.names else value


KERNELS = (
    "run_interval", "put_in_force", "empty_slots", "fill_index", "fill_arrivals", "_recall", "_open_seconds",
    "_remember",
)  # fmt: skip
"""Those that Python calls."""


def with_the_jit_off(do: Callable[[], Any]) -> Any:
    assert vars(numba.config)["DISABLE_JIT"]
    for module in (compiled_engine, arrivals, warm_start):
        for name in KERNELS:
            if kernel := vars(module).get(name):
                setattr(module, name, lambda *values, kernel=kernel: kernel(*map(as_kernels_see, values)))
    with np.errstate(over="ignore"):  # hashing wraps around, as it must
        return do()


def compute_without_calls() -> None:
    """A system without calls whose requests compute; with the JIT off an index beyond an array is an error."""
    plan = [{"call": "cpu", "holding": [{"compute": constant(10)}]}]
    system = tiny_system({"cpu": pool(10, cores_per_replica=1)}, plan)
    engine = make_engine("compiled", system)
    engine.reset(Episode("busy", 1, 60.0, 0.0, 5_000_000_000, np.full((1, 12), 1.0)))
    for _ in range(6):
        telemetry = engine.step(system.control_table.default)
    assert telemetry.classes["within_sla"].sum() > 0


def test_a_compute_step_needs_no_calls() -> None:
    result = without_jit("from tests.engines.test_engine_state import *; with_the_jit_off(compute_without_calls)")
    assert result.returncode == 0, result.stderr[-2000:]


def test_the_kernels_do_the_same_with_the_jit_off() -> None:
    result = without_jit("from tests.engines.test_engine_state import *; print(with_the_jit_off(fingerprint))")
    assert result.returncode == 0, result.stderr[-2000:]
    assert result.stdout.strip() == fingerprint()


def without_jit(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=CONFIGS.parent,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        check=False,
    )
