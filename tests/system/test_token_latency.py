"""Latencies out of recorded token counts: by hand, and what is wrong with a file named with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streamflow_env.errors import ConfigError
from streamflow_env.system import load_system
from streamflow_env.system.token_latency import MAX_LATENCIES, TokenLatency, read_token_counts
from tests.system.broken import changed, error_of

HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
NS = 10**9


def trace(tmp_path: Path, text: str) -> str:
    path = tmp_path / "tokens.csv"
    path.write_text(text, encoding="utf-8")
    return str(path)


def token_latency(path: str, **more: Any) -> dict[str, Any]:
    return {"trace": path, "seconds_per_input_token": 0.001, "seconds_per_output_token": 0.1, **more}


def test_a_latency_is_the_base_and_so_much_a_token(tmp_path: Path) -> None:
    path = trace(tmp_path, HEADER + "a,100,20\n\nb,0,1\nc,1000,0\n")
    found = TokenLatency(**token_latency(path, base_s=0.5))
    assert found.latencies_ns == (NS * 6 // 10, NS * 15 // 10, NS * 26 // 10)
    assert read_token_counts(path, "ContextTokens", "GeneratedTokens").tolist() == [[100, 20], [0, 1], [1000, 0]]


def test_columns_may_have_other_names_and_an_order_of_their_own(tmp_path: Path) -> None:
    path = trace(tmp_path, "out,in\n3,2000\n")
    found = TokenLatency(**token_latency(path, input_column="in", output_column="out"))
    assert found.latencies_ns == (NS * 23 // 10,)


def test_a_long_trace_is_kept_at_even_ranks(tmp_path: Path) -> None:
    num_rows = 4 * MAX_LATENCIES
    path = trace(tmp_path, HEADER + "".join(f"a,0,{tokens}\n" for tokens in reversed(range(num_rows))))
    found = TokenLatency(**token_latency(path)).latencies_ns
    assert len(found) == MAX_LATENCIES
    assert list(found) == sorted(found)
    assert found[0] == 2 * NS // 10
    assert found[-1] == (num_rows - 2) * NS // 10


def test_a_system_takes_it(tmp_path: Path) -> None:
    path = trace(tmp_path, HEADER + "a,100,20\n")
    system = load_system(changed(("services.llm.token_latency", token_latency(path))))
    assert load_system(system.model_dump(mode="json", exclude_unset=True)) == system


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (None, ["tokens.csv", "cannot be read"]),
        ("", ["tokens.csv", "no column 'ContextTokens'", "only nothing"]),
        ("a,ContextTokens\n1,2\n", ["tokens.csv", "no column 'GeneratedTokens'", "only a, ContextTokens"]),
        (HEADER, ["tokens.csv", "has no rows"]),
        (HEADER + "a,1,2\nb,-1,2\n", ["tokens.csv", "line 3", "['-1', '2']", "whole numbers"]),
        (HEADER + "a,1,2\n\nb,1.5,2\n", ["tokens.csv", "line 4", "['1.5', '2']", "whole numbers"]),
        (HEADER + "a,many,2\n", ["tokens.csv", "line 2", "['many', '2']", "whole numbers"]),
        (HEADER + "a,1\n", ["tokens.csv", "line 2", "['1', '']", "whole numbers"]),
        (HEADER + "a,²,2\n", ["tokens.csv", "line 2", "whole numbers"]),
        (HEADER + "a,0,0\n", ["tokens.csv", "must not be", "all 0"]),
    ],
)
def test_what_is_wrong_with_a_trace_is_said(text: str | None, parts: list[str], tmp_path: Path) -> None:
    path = str(tmp_path / "tokens.csv") if text is None else trace(tmp_path, text)
    message = error_of(changed(("services.llm.token_latency", token_latency(path))), tmp_path)
    assert [part for part in parts if part not in message] == [], message
    assert "services.llm" in message
    assert len(message.splitlines()) == 1, "one mistake, one line"


def test_a_trace_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "tokens.csv"
    path.write_bytes(HEADER.encode() + b"\xff\xfe,1,2\n")
    with pytest.raises(ConfigError, match=r"tokens\.csv: cannot be read"):
        load_system(changed(("services.llm.token_latency", token_latency(str(path)))))


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"seconds_per_output_token": -0.1}, ["seconds_per_output_token = -0.1", "greater than or equal to 0"]),
        ({"base_s": -1.0}, ["base_s = -1.0", "greater than or equal to 0"]),
        ({"trace": 3}, ["trace = 3", "string"]),
        ({"speed": 2.0}, ["speed", "unknown key"]),
    ],
)
def test_what_is_wrong_with_its_settings_is_said(change: dict[str, Any], parts: list[str], tmp_path: Path) -> None:
    path = trace(tmp_path, HEADER + "a,1,2\n")
    message = error_of(changed(("services.llm.token_latency", {**token_latency(path), **change})), tmp_path)
    assert [part for part in [*parts, "services.llm"] if part not in message] == [], message
