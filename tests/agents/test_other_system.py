"""A shipped system that is not StreamFlow: trained and evaluated with what fits it, and told what does not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from streamflow_agents.commands import evaluate, train
from streamflow_agents.evaluation.kept_episodes import read_episodes
from streamflow_agents.policies.baselines import BASELINE_NAMES, DoesNotFitError, make_baseline, make_fitting
from streamflow_agents.training.task import REFERENCES
from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.environment.observations import ObservationTable
from streamflow_env.errors import ConfigError
from streamflow_env.paths import CONFIGS
from streamflow_env.system import load_system
from streamflow_env.system.yaml_files import dump_yaml, read_yaml

SALE = CONFIGS / "examples" / "shop-sale.yaml"
SHOP = load_system("shop")


@pytest.fixture
def short(tmp_path: Path) -> str:
    """The sale, cut off after three control steps, and without what comes later."""
    path = tmp_path / "short.yaml"
    surges = [{"factor": 3, "start_s": 0, "duration_s": 30}]
    sale = read_yaml(SALE)
    traffic = {**sale["traffic"], "surges": surges}
    path.write_text(dump_yaml({**sale, "horizon_s": 45, "traffic": traffic, "incidents": []}))
    return str(path)


def run(command: object, monkeypatch: pytest.MonkeyPatch, *options: str) -> None:
    monkeypatch.setattr(sys, "argv", ["command", *options])
    command.main()  # type: ignore[attr-defined]


def test_it_has_three_services_and_its_scenario_fits() -> None:
    assert len(SHOP.services) == 3
    env = StreamFlowEnv(SALE, system="shop", engine="reference")
    env.reset(seed=0)
    assert env.step(env.default_action)[1] <= 0.0


def test_what_fits_is_made_and_what_does_not_is_named() -> None:
    made, line = make_fitting(BASELINE_NAMES, SHOP, ObservationTable(SHOP))
    assert set(made) == {"do_nothing", "hpa"}
    assert line.startswith("left out, for they do not fit system shop: keda, playbook, ")
    assert "\n" not in line
    with pytest.raises(DoesNotFitError, match=r"baseline 'playbook' does not fit system 'shop': .*unknown control"):
        make_baseline("playbook", SHOP, ObservationTable(SHOP))
    streamflow = load_system()
    everything, line = make_fitting(BASELINE_NAMES, streamflow, ObservationTable(streamflow))
    assert (tuple(everything), line) == (BASELINE_NAMES, "")


def test_it_is_trained_and_evaluated(
    short: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(
        train, monkeypatch, "--system", "shop", "--scenario", short, "--total-steps", "16", "--num-cells", "4",
        "--evaluate-every", "8", "--num-evaluation-episodes", "2", "--num-threads", "1", "--no-progress",
        "--out", str(tmp_path / "runs"),
    )  # fmt: skip
    said = capsys.readouterr()
    folder = said.out.strip()
    left_out = ", ".join(name for name in REFERENCES if name != "do_nothing")
    assert f"left out, for they do not fit system shop: {left_out}\n" in said.err
    out = tmp_path / "results"
    run(
        evaluate, monkeypatch, "--system", "shop", "--scenarios", short, "--policies",
        f"do_nothing,hpa,playbook,agent={folder}", "--num-seeds", "1", "--jobs", "1",
        "--no-progress", "--out", str(out),
    )  # fmt: skip
    assert "left out, for they do not fit system shop: playbook\n" in capsys.readouterr().err
    assert set(read_episodes(out / "episodes.csv").figures) == {"do_nothing", "hpa", "agent"}


def test_without_a_scenario_those_that_fit_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(policies: object, scenarios: object, *_: object, **__: object) -> None:
        raise ConfigError(f"stopped at {scenarios}")

    monkeypatch.setattr(evaluate, "evaluate", stop)
    with pytest.raises(SystemExit, match=r"stopped at \['normal'\]"):
        run(evaluate, monkeypatch, "--system", "shop", "--policies", "do_nothing,hpa", "--out", str(tmp_path / "a"))
    assert "peak-hour, llm-rate-limit, invalidation-storm, retry-storm, compound" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="none is left"):
        run(evaluate, monkeypatch, "--system", "shop", "--policies", "playbook", "--reference", "playbook")
