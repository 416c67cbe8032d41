"""Files that a run's configuration names: the same in another folder, and an error once they have changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streamflow_env.errors import ConfigError
from streamflow_env.scenarios import Scenario, load_scenario
from streamflow_env.system import load_system
from streamflow_env.system.yaml_files import dump_yaml, parse_yaml
from streamflow_env.traffic import TraceTraffic
from tests.traffic.test_traces import ten_minutes


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Two folders with other traces and members of the same names; the first is the current one."""
    for name, count in (("one", 7), ("two", 9)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "day.csv").write_text(ten_minutes(range(count, count + 200)))
        (folder / "tokens.csv").write_text(f"ContextTokens,GeneratedTokens\n{count},{count}\n")
        member = {"name": "mine", "horizon_s": 600, "traffic": {"kind": "trace", "trace": "day.csv"}}
        (folder / "mine.yaml").write_text(dump_yaml(member))
    monkeypatch.chdir(tmp_path / "one")
    return tmp_path / "one", tmp_path / "two"


def kept(scenario: Any) -> Any:
    """What a run's config.yaml has of it, read again."""
    return parse_yaml(dump_yaml(scenario.model_dump(mode="json")))


def follow_day() -> Scenario:
    return load_scenario("trace").with_trace("day.csv", horizon_s=600)


def mix() -> Scenario:
    return load_scenario({"name": "both", "members": {"normal": 1, "mine.yaml": 1}})


@pytest.mark.parametrize("make", [follow_day, mix])
def test_a_run_goes_on_with_its_own_file_in_any_folder(make: Any, folders: Any, monkeypatch: Any) -> None:
    one, two = folders
    scenario = make()
    again = kept(scenario)
    rates = scenario.episode(load_system(), 3).rates_rps
    if make is follow_day:
        assert again["traffic"]["trace"] == str(one / "day.csv")
        monkeypatch.chdir(two)
    assert (load_scenario(again).episode(load_system(), 3).rates_rps == rates).all()


@pytest.mark.parametrize(
    ("make", "changed", "said"),
    [
        (follow_day, "day.csv", r"day\.csv: has changed since .*SHA-256"),
        (mix, "mine.yaml", r"mine\.yaml: has changed since"),
        (mix, "day.csv", r"mine\.yaml: has changed since"),
    ],
)
def test_a_changed_file_is_an_error_that_says_so(make: Any, changed: str, said: str, folders: Any) -> None:
    again = kept(make())
    path = folders[0] / changed
    path.write_text(path.read_text().replace("\n60,8\n", "\n60,800\n").replace("horizon_s: 600", "horizon_s: 660"))
    with pytest.raises(ConfigError, match=said):
        load_scenario(again)


def test_a_member_whose_trace_is_another_in_another_folder_is_an_error(folders: Any, monkeypatch: Any) -> None:
    again = kept(mix())
    monkeypatch.chdir(folders[1])
    with pytest.raises(ConfigError, match=r"one/mine\.yaml: has changed since"):
        load_scenario(again)


def test_a_deleted_trace_is_an_error(folders: Any) -> None:
    again = kept(follow_day())
    (folders[0] / "day.csv").unlink()
    with pytest.raises(ConfigError, match=r"day\.csv.*there is none"):
        load_scenario(again)


def test_another_trace_than_the_scenarios_own_is_taken() -> None:
    other = load_scenario("trace").with_trace("world_cup_1998", start=0)
    assert isinstance(traffic := vars(other)["traffic"], TraceTraffic)
    assert traffic.trace == "world_cup_1998"


def test_token_counts_are_kept_in_the_same_way(folders: Any, monkeypatch: Any) -> None:
    data = load_system().model_dump()
    data["services"]["llm"]["token_latency"] = {
        "trace": "tokens.csv", "base_s": 0.1, "seconds_per_input_token": 1e-4, "seconds_per_output_token": 1e-3,
    }  # fmt: skip
    again = kept(load_system(data))
    monkeypatch.chdir(folders[1])
    latency = load_system(again).model_dump()["services"]["llm"]["token_latency"]
    assert latency["trace"] == str(folders[0] / "tokens.csv")
    (folders[0] / "tokens.csv").write_text("ContextTokens,GeneratedTokens\n8,8\n")
    with pytest.raises(ConfigError, match=r"tokens\.csv: has changed since"):
        load_system(again)
