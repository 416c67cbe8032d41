"""YAML files: read as YAML 1.2, with lines, and written so that nothing changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from streamflow_env.cells import load_cell
from streamflow_env.environment.rewards import load_reward
from streamflow_env.errors import ConfigError
from streamflow_env.paths import CONFIGS
from streamflow_env.scenarios import load_scenario
from streamflow_env.system import load_system
from streamflow_env.system.yaml_files import MAX_DEPTH, dump_yaml, line_of, parse_yaml, read_yaml

SYSTEM = CONFIGS / "system" / "streamflow.yaml"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("18:00", "18:00"), ("1:30", "1:30"), ("1:30.5", "1:30.5"), ("190:20:30", "190:20:30"), ("010", 10),
        ("0o10", 8), ("0x1F", 31), ("0b11", "0b11"), ("2024-01-01", "2024-01-01"),
        ("2024-01-01 06:00:00", "2024-01-01 06:00:00"), ("yes", "yes"), ("off", "off"), ("y", "y"), ("true", True),
        ("False", False), ("~", None), ("", None), ("1e3", 1000.0), ("1e-3", 0.001), ("1.", 1.0), (".5", 0.5),
        ("100_000", 100_000), ("1__0", "1__0"), ("-7", -7), ("+7", 7), (".inf", float("inf")), ("-.INF", -float("inf")),
        ("'10'", "10"), ("<<", "<<"), ("=", "="),
    ],
)  # fmt: skip
def test_scalars_are_those_of_yaml_1_2(text: str, value: Any) -> None:
    read = parse_yaml(text)
    assert (type(read), read) == (type(value), value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3: not valid YAML: key 'a' is given twice"),
        ("a: 1\nb:\n  - {c: 1, c: 2}\n", "line 3: not valid YAML: key 'c' is given twice"),
        ("a: 1\n? [b, c]\n: 2\n", "line 2: not valid YAML: a key must be one word"),
        ("a: 1\nb: [1, 2\n", "line 3: not valid YAML"),
        ("a: 1\n\tb: 2\n", "line 2: not valid YAML"),
        ("a: !!int 1:30\n", "line 1: not valid YAML: '1:30' is not a whole number"),
        ("a: !!float 1:30\n", "line 1: not valid YAML: '1:30' is not a number"),
        ("a: !!python/object/apply:os.getcwd []\n", "line 1: not valid YAML"),
        ("a: " + "9" * 5000, "text: "),
        ("a: 1\n---\nb: 2\n", "line 2: not valid YAML"),
        ("a: &x [*x]\n", "holds itself"),
        ("[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2), f"must be at most {MAX_DEPTH}"),
        ("[" * 5000 + "]" * 5000, "must be at most"),
        ("a: &a0 [1, 1]\n" + "".join(f"b{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 25)), "values, aliases"),
    ],
)
def test_what_is_not_valid_is_one_error_with_its_line(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_yaml(text)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
TREES = st.recursive(LEAVES, lambda parts: st.lists(parts) | st.dictionaries(st.text(max_size=4), parts), max_leaves=8)
ODD = [
    "1e3",
    "010",
    "0o7",
    "yes",
    "18:00",
    "2024-01-01",
    "~",
    "null",
    "1_0",
    ".5",
    "1.",
    "<<",
    "=",
    "é\u2028\x85",
    "- a",
]


@given(TREES | st.sampled_from(ODD))
def test_what_is_written_is_read_as_it_was(data: Any) -> None:
    for text in (dump_yaml(data), dump_yaml({"a": [data]})):
        assert repr(parse_yaml(text)) == repr(yaml.safe_load(text))
    assert repr(parse_yaml(dump_yaml({"a": [data]}))) == repr({"a": [data]})


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: path.stem)
def test_the_shipped_files_mean_the_same_to_a_reader_of_yaml_1_1(path: Path) -> None:
    assert read_yaml(path) == yaml.safe_load(path.read_text(encoding="utf-8"))


def test_lines_are_those_of_the_nearest_part_that_there_is() -> None:
    lines = SYSTEM.read_text(encoding="utf-8").splitlines()
    at = line_of(SYSTEM, ["services", "auth", "worker_pool", "replicas"])
    assert at is not None
    assert lines[at - 1].strip().startswith("replicas: 5")
    missing = line_of(SYSTEM, ["services", "auth", "no_such_key"])
    assert missing is not None
    assert lines[missing - 1].strip().startswith("auth:")


LOADERS: dict[str, tuple[Callable[[Any], Any], Path]] = {
    "system": (load_system, SYSTEM),
    "scenario": (load_scenario, CONFIGS / "scenarios" / "compound.yaml"),
    "reward": (load_reward, CONFIGS / "reward" / "default.yaml"),
    "cell": (load_cell, CONFIGS / "cells" / "varied.yaml"),
}


@pytest.mark.parametrize(
    ("kind", "old", "new", "lines_on", "said"),
    [
        ("system", "replicas: 5 ", "replicas: 0 ", 0, "replicas = 0: must be"),
        ("system", "warmup_s: 60.0", "warmup_s: 18:00", 0, "warmup_s = '18:00': must be a valid number"),
        (
            "system",
            "query: engine_llm",
            "query: nothing",
            0,
            "on_miss[1].holding[1].query = 'nothing'",
        ),
        ("system", "worst_s: 2.0", "worst_s: 0.1", 0, "worst_s 0.1 must be above"),
        ("system", "users:\n", "users:\n  no_such: 1\n", 1, "users.no_such: unknown key"),
        ("system", "  num_users: 125000", "", -1, "users.num_users: required key is missing"),
        ("scenario", "horizon_s: 3600", "horizon_s: 1:30", 0, "horizon_s = '1:30'"),
        ("reward", "churn: ", "churn: -", 0, "churn = -"),
        ("cell", "factor: [", "factor: [-", 0, "factor"),
    ],
)
def test_an_error_names_file_line_key_value_and_what_is_allowed(
    kind: str, old: str, new: str, lines_on: int, said: str, tmp_path: Path
) -> None:
    load, source = LOADERS[kind]
    text = source.read_text(encoding="utf-8")
    assert old in text
    changed = text.replace(old, new, 1)
    path = tmp_path / "wrong.yaml"
    path.write_text(changed, encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        load(path)
    line = text[: text.index(old)].count("\n") + 1 + lines_on
    assert str(raised.value).startswith(f"{path}: line {line}: ")
    assert said in str(raised.value)


def test_what_does_not_fit_the_system_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(
        (CONFIGS / "scenarios" / "retry-storm.yaml").read_text().replace("service: auth", "service: nobody")
    )
    with pytest.raises(ConfigError, match=r"wrong\.yaml: line \d+: incidents\.0\.slowdown\.service = 'nobody'"):
        load_scenario(path).check(load_system())
    cell = tmp_path / "cell.yaml"
    cell.write_text("name: odd\nsystem:\n  users.nobody: {factor: 2}\n")
    with pytest.raises(ConfigError, match=r"cell\.yaml: line 3: system\.users\.nobody"):
        load_cell(cell).check(load_system())
