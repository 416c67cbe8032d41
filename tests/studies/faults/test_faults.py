"""Wrong and extreme values: a share of the trials, those that were found to do harm, and the study itself."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from streamflow_agents.arguments import parse_arguments
from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.errors import ConfigError
from streamflow_env.scenarios import load_scenario
from streamflow_env.system import load_system
from streamflow_env.system.scaling import scaled
from streamflow_env.system.schema import read_yaml
from studies.common.study import outputs
from studies.faults import run as study
from studies.faults import workers
from studies.faults.cases import EVERYTHING, VALUES, Case, cases, kinds, whole
from studies.faults.report import page
from studies.faults.trial import ERROR, OTHER, SANE, try_case

PARTS = read_yaml(EVERYTHING)
MUCH: tuple[tuple[str, Any], ...] = (
    ("services.door.startup_delay_s", 9.3e9),
    ("services.crane.service_time.mean_s", 1e12),
    ("users.think_time_s", 1e12),
    ("services.waiting_list.poll_s", 1e12),
    ("services.door.replicas", 10**30),
    ("services.door.queue_limit", 2**63),
    ("users.num_users", 10**400),
    ("warmup_s", 1e6),
    ("control_interval_s", 1e-9),
    ("services.shelf.memory_entries", 10**8),
    ("services.shelf.ttl_s", 1e7),
    ("classes.order.normal_rate_rps", 1e6),
    ("classes.order.plan", ["auth"]),
    ("classes.order.plan", [{"emit": "mail"}] * 20_000),
    ("calls.think.breaker.window_size", 10**9),
)


def changed(path: str, value: Any) -> dict[str, Any]:
    data = whole("system")
    copy: dict[str, Any] = {**data}
    part = copy
    *keys, last = path.split(".")
    for key in keys:
        part[key] = {**part[key]}
        part = part[key]
    part[last] = value
    return copy


@pytest.mark.parametrize(("path", "value"), MUCH, ids=lambda value: str(value)[:40])
def test_what_is_too_much_is_one_clear_error(path: str, value: Any) -> None:
    with pytest.raises(ConfigError) as raised:
        load_system(changed(path, value))
    message = str(raised.value)
    assert path.rsplit(".", 1)[-1] in message
    assert "must be" in message or "a step has exactly one of the keys" in message
    assert len(message) < 1000


def test_a_slowdown_that_cannot_be_meant_is_an_error() -> None:
    slow = {"kind": "slowdown", "service": "crane", "start_s": 1, "duration_s": 5, "factor": 1e300}
    with pytest.raises(ConfigError, match=r"factor = 1e\+300: must be a number in \[0.001, 1000\]"):
        load_scenario({**PARTS["daily"], "incidents": [slow]})
    with pytest.raises(ConfigError, match="incidents: together they may slow 'crane' down by a factor of 1 to 1e\\+09"):
        load_scenario({**PARTS["daily"], "incidents": [{**slow, "factor": 1000}] * 3})


def test_more_load_than_can_be_simulated_is_an_error_before_it_begins() -> None:
    drop = {"kind": "content_drop", "cache": "shelf", "items_class": "stock", "start_s": 1, "num_items": 10**9,
            "spread_s": 5, "invalidate_fraction": 0.5}  # fmt: skip
    env = StreamFlowEnv({**PARTS["daily"], "incidents": [drop]}, system=PARTS["system"], engine="reference")
    with pytest.raises(ConfigError, match=r"in one control_interval_s .*: is .* must be at most 2,000,000"):
        env.reset(seed=0)


def test_aliases_of_aliases_are_counted_before_they_are_written_out(tmp_path: Path) -> None:
    step = "&a0 {call: crane}"
    lines = [f"  - &a{i} {{lookup: shelf, on_miss: [*a{i - 1}, *a{i - 1}]}}" for i in range(1, 24)]
    path = tmp_path / "many.yaml"
    path.write_text("\n".join(["plan:", f"  - {step}", *lines]))
    began = time.monotonic()
    with pytest.raises(ConfigError, match="values, aliases written out: must be at most 100,000"):
        load_system(path)
    plan: Any = {"emit": "mail"}
    for _ in range(24):
        plan = {"lookup": "shelf", "on_miss": [plan, plan]}
    with pytest.raises(ConfigError, match="values, aliases written out"):
        load_system(changed("classes.order.plan", [plan]))
    assert time.monotonic() - began < 10


def test_a_system_scaled_beyond_its_bounds_is_an_error() -> None:
    with pytest.raises(ConfigError, match="must be"):
        scaled(load_system(), 10**7)


def test_every_kind_is_valid_before_it_is_changed() -> None:
    fields = {case.field for case in cases() if case.kind == "system"}
    assert {"services.brain.token_latency", "users.breaker.open_s", "controls.0.low", "llm_price_per_request"} <= fields
    for kind in kinds():
        path = next(case.path for case in cases() if case.kind == kind)
        assert Case(kind, path, "null").content() != whole(kind)
    assert try_case(Case("system", ("name",), "text"), 2) == (SANE, "")


def test_how_a_trial_ends_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case("reward", ("late",), "nan")
    assert try_case(case, 1)[0] == ERROR
    monkeypatch.setattr("studies.faults.trial._use", lambda *_: 1 / 0)
    assert try_case(case, 1)[0] == OTHER

    def unclear(*_: object) -> None:
        raise ConfigError("no")

    monkeypatch.setattr("studies.faults.trial._use", unclear)
    assert try_case(case, 1) == (OTHER, "no")


class Sleeping(workers.Worker):
    """Its process hangs or dies, as the case says."""

    def _start(self) -> None:
        import multiprocessing

        context = multiprocessing.get_context("fork")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=end_badly, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()


def end_badly(pipe: Any) -> None:
    if pipe.recv().value == "0":
        os.abort()
    time.sleep(60)


def test_a_crash_and_a_hang_cost_one_trial_each() -> None:
    worker = Sleeping(1, 0.5)
    assert worker.run(Case("system", ("name",), "0")) == (OTHER, "the process died, with exit code -6")
    assert worker.run(Case("system", ("name",), "nan")) == (OTHER, "hangs: longer than 0.5 s")
    worker.close()


def test_a_quick_run_finds_nothing_else_than_clear_errors_and_sane_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("studies.common.study.QUICK", tmp_path)
    assert study.run(parse_arguments(study.Arguments, ["--quick", "--jobs", "1", "--no-progress"])) == 0, (
        capsys.readouterr().out
    )
    rows = list(study.read(tmp_path / "faults" / "data" / study.KEPT))
    assert {row["value"] for row in rows} == set(VALUES)
    assert (tmp_path / "faults" / "faults.md").read_text(encoding="utf-8") == page(rows)


def test_the_page_is_that_of_what_was_kept() -> None:
    kept = outputs("faults")
    rows = list(study.read(kept.data / study.KEPT))
    assert kept.page.read_text(encoding="utf-8") == page(rows)
    assert {row["ended"] for row in rows} <= {ERROR, SANE, "sane load"}
    assert len(rows) == len(list(cases()))
