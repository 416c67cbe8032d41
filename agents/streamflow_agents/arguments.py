"""A flat dataclass is a command line: its fields are the options, their metadata the help."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import MISSING, Field, field, fields
from typing import Any, TypeVar, get_args, get_type_hints

Arguments = TypeVar("Arguments")


def argument(default: Any, help_text: str, choices: Sequence[str] | None = None) -> Any:
    """A dataclass field with `help_text` for the command line, and `choices`, the values allowed (None: all)."""
    return field(default=default, metadata={"help": help_text, "choices": choices})


def parse_arguments(kind: type[Arguments], argv: Sequence[str] | None = None) -> Arguments:
    """An instance of the dataclass `kind`, its fields filled from `argv` (None: the process's own).

    A wrong option ends the process with a message.
    """
    return kind(**parse_given(kind, argv))


def parse_given(kind: type[Any], argv: Sequence[str] | None = None) -> dict[str, Any]:
    """The options in `argv` by field of `kind`, without the defaults of those that are not given."""
    summary = (kind.__doc__ or "").strip().splitlines()[0]
    parser = argparse.ArgumentParser(description=summary, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    hints = get_type_hints(kind)
    for item in fields(kind):
        _add(parser, item, hints[item.name])
    absent = object()
    options = argparse.Namespace(**{item.name: absent for item in fields(kind)})
    parser.parse_args(argv, options)
    return {name: value for name, value in vars(options).items() if value is not absent}


def _add(parser: argparse.ArgumentParser, item: Field[Any], hint: Any) -> None:
    option, help_text = "--" + item.name.replace("_", "-"), item.metadata.get("help", "")
    scalar = next((part for part in get_args(hint) if part is not type(None)), hint)
    if scalar is bool:
        parser.add_argument(option, action=argparse.BooleanOptionalAction, default=item.default, help=help_text)
        return
    default = None if item.default is MISSING else item.default
    parser.add_argument(
        option,
        type=scalar,
        default=default,
        required=item.default is MISSING,
        choices=item.metadata.get("choices"),
        help=help_text or " ",
    )
