from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from streamflow_agents.policies import baselines
from streamflow_agents.policies.baselines import (
    BASELINE_NAMES,
    Baseline,
    StaticBaseline,
    baseline_files,
    make_baseline,
)
from streamflow_agents.policies.baselines.hpa import Hpa, HpaSettings
from streamflow_agents.policies.loading import policy_digest
from streamflow_env.environment.observations import ObservationTable
from streamflow_env.errors import ConfigError
from streamflow_env.paths import config_path
from streamflow_env.system import System, load_system
from streamflow_env.system.schema import load


@pytest.fixture(scope="module")
def system() -> System:
    return load_system()


@pytest.fixture(scope="module")
def table(system: System) -> ObservationTable:
    return ObservationTable(system)


def observe(table: ObservationTable, system: System, **values: float) -> NDArray[np.float32]:
    """An observation of the idle system with default controls, with some readings (`.` written `__`) set."""
    default = {f"{name}__ready_replicas": float(pool.replicas) for name, pool in system.pools()}
    observation = np.zeros(table.size, dtype=np.float32)
    observation[-len(system.control_table) :] = system.control_table.action(system.control_table.default)
    for name, value in (default | values).items():
        index = table.names.index(name.replace("__", "."))
        assert table.fields[index].scale == "linear"
        observation[index] = value / table.fields[index].high
    return observation


def setting(system: System, action: NDArray[np.float32], name: str) -> float:
    return float(system.control_table.natural(action)[system.control_table.names.index(name)])


def hpa(system: System, table: ObservationTable, settings: dict[str, object]) -> Baseline:
    return Baseline(system, table, {}, lambda desk: [Hpa(desk, load(HpaSettings, settings))])


@pytest.mark.parametrize("name", BASELINE_NAMES)
def test_every_baseline_speaks_the_protocol(name: str, system: System, table: ObservationTable) -> None:
    policy = make_baseline(name, system, table)
    one = observe(table, system, engine__utilisation=0.9)
    action, _ = policy.predict(one)
    assert action.shape == (len(system.control_table),)
    assert action.dtype == np.float32
    assert np.all(np.abs(action) <= 1.0)
    batch = np.stack([one, observe(table, system)])
    actions, _ = policy.predict(batch, episode_start=np.array([True, True]))
    assert actions.shape == (2, len(system.control_table))
    np.testing.assert_array_equal(actions[0], action)


@pytest.mark.parametrize("name", BASELINE_NAMES)
def test_the_state_is_all_there_is(name: str, system: System, table: ObservationTable) -> None:
    """Two episodes interleaved on one object go as they go alone; a restart forgets."""
    policy = make_baseline(name, system, table)
    rng = np.random.default_rng(0)
    runs = [[observe(table, system, engine__utilisation=float(u)) for u in rng.random(30)] for _ in range(2)]

    def alone(run: list[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        state, actions = None, []
        for observation in run:
            action, state = policy.predict(observation, state=state)
            actions.append(action)
        return actions

    expected, state = [alone(run) for run in runs], None
    for step in range(30):
        together, state = policy.predict(np.stack([run[step] for run in runs]), state=state)
        np.testing.assert_array_equal(together, np.stack([actions[step] for actions in expected]))
    again, state = policy.predict(np.stack([run[0] for run in runs]), state=state, episode_start=[True, False])
    np.testing.assert_array_equal(again[0], expected[0][0])


def test_do_nothing_changes_nothing(system: System, table: ObservationTable) -> None:
    action, _ = make_baseline("do_nothing", system, table).predict(observe(table, system))
    np.testing.assert_allclose(system.control_table.natural(action), system.control_table.default)


def test_the_playbook_is_set_in_natural_units(system: System, table: ObservationTable) -> None:
    action, _ = StaticBaseline(system, table, {"llm_timeout": 1.5, "engine_replicas": 4}).predict(
        observe(table, system)
    )
    assert setting(system, action, "llm_timeout") == pytest.approx(1.5, rel=1e-5)
    assert setting(system, action, "engine_replicas") == 4
    assert setting(system, action, "auth_replicas") == 5
    playbook, _ = make_baseline("playbook", system, table).predict(observe(table, system))
    assert setting(system, playbook, "llm_fallback") == 1.0


@pytest.mark.parametrize("settings", [{"llm_timeuot": 1.5}, {"llm_timeout": 99.0}])
def test_a_wrong_setting_is_an_error(settings: dict[str, float], system: System, table: ObservationTable) -> None:
    with pytest.raises(ConfigError, match="llm_time"):
        StaticBaseline(system, table, settings)


def test_the_hpa_scales_each_pool_by_its_larger_utilisation(system: System, table: ObservationTable) -> None:
    policy = make_baseline("hpa", system, table)
    busy = observe(table, system, engine__utilisation=0.3, engine__cpu_utilisation=0.9, auth__utilisation=0.9)
    action, state = policy.predict(busy)
    assert setting(system, action, "engine_replicas") == 9  # 6 × 0.9 / 0.6
    assert setting(system, action, "auth_replicas") == 8  # 5 × 0.9 / 0.6, rounded up
    assert setting(system, action, "content_pipeline_replicas") == 1  # idle, but the default is the least
    starting = observe(table, system, engine__cpu_utilisation=0.9, engine__pending_replicas=3)
    action, state = policy.predict(starting, state=state)
    assert setting(system, action, "engine_replicas") == 9  # with the pending ones at 0 it is just enough


def test_the_hpa_comes_down_after_its_window(system: System, table: ObservationTable) -> None:
    policy = make_baseline("hpa", system, table)
    action, state = policy.predict(observe(table, system, auth__utilisation=1.0))
    seen = []
    for _ in range(25):
        calm = observe(table, system, auth__ready_replicas=9, auth__utilisation=0.1)
        action, state = policy.predict(calm, state=state)
        seen.append(setting(system, action, "auth_replicas"))
    assert seen == [9.0] * 19 + [3.0] * 6


def test_playbook_hpa_is_the_playbook_but_for_the_replicas(system: System, table: ObservationTable) -> None:
    idle = observe(table, system)
    both, _ = make_baseline("playbook_hpa", system, table).predict(idle)
    playbook, _ = make_baseline("playbook", system, table).predict(idle)
    for control, ours, theirs in zip(system.controls, both, playbook, strict=True):
        if control.parameter != "replicas":
            assert ours == theirs
    assert setting(system, both, "engine_replicas") == 6  # the default, until the window of its scaling down is over


@pytest.mark.parametrize(
    ("settings", "culprit"),
    [
        ({"targets": {"utilisation": 0.6}, "pools": {"nosuch": {}}}, "nosuch"),
        ({"targets": {"temperature": 0.6}}, "temperature"),
        ({"targets": {"utilisation": 1.6}}, "targets.utilisation"),
        ({"targets": {"utilisation": 0.0}}, r"^configuration: targets.utilisation = 0.0: must be .* equal to 0.01$"),
        ({"targets": {"utilisation": 0.6}, "typo": 1}, "typo"),
        ({"targets": {}}, "targets"),
    ],
)
def test_wrong_hpa_settings_are_errors(
    settings: dict[str, object], culprit: str, system: System, table: ObservationTable
) -> None:
    with pytest.raises(ConfigError, match=culprit):
        hpa(system, table, settings)


def test_pool_settings_override(system: System, table: ObservationTable) -> None:
    settings = {
        "targets": {"utilisation": 0.6},
        "pools": {"engine": {"min_replicas": 7, "targets": {"utilisation": 0.3}}},
    }
    action, _ = hpa(system, table, settings).predict(observe(table, system))
    assert setting(system, action, "engine_replicas") == 7
    assert setting(system, action, "auth_replicas") == 5  # no settings of its own: the default is the least


def test_wrong_shapes_and_names_are_errors(system: System, table: ObservationTable) -> None:
    policy = make_baseline("hpa", system, table)
    with pytest.raises(ConfigError, match="shape"):
        policy.predict(np.zeros(3, dtype=np.float32))
    with pytest.raises(ConfigError, match="state is for 2"):
        policy.predict(observe(table, system), state=policy.predict(np.stack([observe(table, system)] * 2))[1])
    with pytest.raises(ConfigError, match="do_nothing, hpa"):
        make_baseline("nosuch", system, table)


def test_baselines_do_not_import_torch() -> None:
    modules = ("policies.baselines", "evaluation.episodes", "policies.loading")
    imports = ", ".join(f"streamflow_agents.{name}" for name in modules)
    code = f"import sys, {imports}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", [*BASELINE_NAMES, "expert~hpa"])
def test_the_files_of_a_baseline_are_those_that_it_reads(
    name: str, system: System, table: ObservationTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, read = set(baseline_files(name)), set()

    def watched(folder: str, file: str) -> Path:
        read.add(config_path(folder, file))
        return config_path(folder, file)

    monkeypatch.setattr(baselines, "config_path", watched)
    make_baseline(name, system, table)
    assert read == expected


def test_a_digest_is_of_numbers_and_model_not_of_comments(tmp_path: Path) -> None:
    digests = {policy_digest(name) for name in (*BASELINE_NAMES, "expert~hpa")}
    assert len(digests) == len(BASELINE_NAMES) + 1
    (tmp_path / "policy.npz").write_bytes(b"a model")
    description = tmp_path / "config.yaml"
    found = []
    for text in ("arguments: {seed: 1}", "# a comment\narguments:\n  seed: 1\n", "arguments: {seed: 2}"):
        description.write_text(text, encoding="utf-8")
        found.append(policy_digest(str(tmp_path)))
    assert found[0] == found[1] != found[2]
    (tmp_path / "policy.npz").write_bytes(b"another")
    assert policy_digest(str(tmp_path)) not in {*found, *digests}
    with pytest.raises(ConfigError, match="policy 'nosuch': neither a baseline"):
        policy_digest("nosuch")
