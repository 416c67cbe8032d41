"""A dataclass as a command line."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from streamflow_agents.arguments import argument, parse_arguments, parse_given


@dataclass(frozen=True)
class Example:
    """Does something.

    And more.
    """

    kind: str = argument("a", "which kind", ("a", "b"))
    num_things: int = argument(3, "how many")
    share: float = argument(0.5, "how much")
    folder: str | None = argument(None, "where to")
    loud: bool = argument(False, "say more")


def test_defaults_and_every_type() -> None:
    assert parse_arguments(Example, []) == Example()
    given = ["--kind", "b", "--num-things", "7", "--share", "0.25", "--folder", "x", "--loud"]
    assert parse_arguments(Example, given) == Example("b", 7, 0.25, "x", True)
    assert parse_arguments(Example, ["--no-loud"]) == Example()


def test_what_was_given_is_told_from_defaults() -> None:
    assert parse_given(Example, []) == {}
    assert parse_given(Example, ["--num-things", "3", "--no-loud"]) == {"num_things": 3, "loud": False}


@pytest.mark.parametrize("wrong", [["--kind", "c"], ["--num-things", "x"], ["--unknown", "1"], ["more"]])
def test_what_is_wrong_ends_the_program(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(Example, wrong)
    assert "error:" in capsys.readouterr().err


def test_help_names_every_option_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(Example, ["--help"])
    shown = capsys.readouterr().out
    for text in ("Does something.", "--num-things", "how many (default: 3)", "--loud", "{a,b}"):
        assert text in shown
