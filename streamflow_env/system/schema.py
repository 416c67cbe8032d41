"""How YAML becomes frozen, validated objects, and how errors in it are reported.

Every configuration class derives from `Frozen`. Unknown keys, wrong types and values out of range are errors. Nothing
is coerced, and nothing can be changed afterwards. `load` turns pydantic's report into one `ConfigError` that names the
file and the line, the key, the value and what is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from streamflow_env.errors import ConfigError
from streamflow_env.system.yaml_files import check_size, line_of
from streamflow_env.system.yaml_files import read_yaml as read_yaml

LARGEST: Final = 10**9
"""No number of a configuration is larger, but for seeds."""
SMALLEST: Final = 1e-10
"""No number but 0 is nearer to 0: its inverse is a number too."""
MAX_SHOWN: Final = 200
"""So much of a wrong value is shown."""
LONGEST_S: Final = 1e7
"""No duration is longer: 116 days. A thousand times as long still fits into 64 bits of nanoseconds."""


def _not_tiny(value: float) -> float:
    if 0 < abs(value) < SMALLEST:
        raise ValueError(f"must be 0, or at least {SMALLEST:g} away from it")
    return value


# Every number has two bounds, which are safe in 64 bits and in memory; tests/test_bounds.py looks at all models.
_NOT_TINY: Final = AfterValidator(_not_tiny)
Number = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-LARGEST, le=LARGEST), _NOT_TINY]
Positive = Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0, le=LARGEST), _NOT_TINY]
NonNegative = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0, le=LARGEST), _NOT_TINY]
Seconds = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0, le=LONGEST_S), _NOT_TINY]
PositiveSeconds = Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0, le=LONGEST_S), _NOT_TINY]
Fraction = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0, le=1), _NOT_TINY]
Integer = Annotated[int, Field(strict=True, ge=-LARGEST, le=LARGEST)]
Count = Annotated[int, Field(strict=True, ge=1, le=LARGEST)]
Size = Annotated[int, Field(strict=True, ge=0, le=LARGEST)]
Seed = Annotated[int, Field(strict=True, ge=0, le=2**63 - 1)]
Text = Annotated[str, Field(strict=True, min_length=1)]
Flag = Annotated[bool, Field(strict=True)]


class Frozen(BaseModel):
    """A frozen configuration object; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Model = TypeVar("Model", bound=BaseModel)


def load(model: type[Model], source: Path | str | dict[str, Any]) -> Model:
    """Read `source` (a YAML file, or its content as a dictionary) as a `model`.

    Raises:
        ConfigError: the file is missing, is not YAML, or a key, type or value is wrong.
    """
    name, data = (str(source), read_yaml(source)) if isinstance(source, (str, Path)) else ("configuration", source)
    return parse(model, data, name)


def parse(model: type[Model], data: Any, name: str) -> Model:
    """Validate `data`, called `name` in errors, as a `model`. Raises ConfigError.

    Where `name` begins with the path of a YAML file, which `data` is from, errors name the line.
    """
    check_size(data, name)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise ConfigError(_explain(name, error)) from None


def place(name: str, keys: Sequence[Any] = ()) -> str:
    """What an error about `keys` begins with: `name`, and the line where it begins with the path of a YAML file.

    What follows the path in `name`, after a colon, are keys that lead to the part that `keys` start at.
    """
    path, _, rest = name.partition(": ")
    if not path.endswith((".yaml", ".yml")) or not Path(path).is_file():
        return name
    line = line_of(path, [*(_parts(rest) if rest else ()), *keys])
    return name if line is None else ": ".join(part for part in (path, f"line {line}", rest) if part)


def _parts(dotted: str) -> list[Any]:
    """`a.b[2]` as keys."""
    return [int(part) if part.isdigit() else part for part in re.split(r"[.\[\]]+", dotted) if part]


def _explain(name: str, error: ValidationError) -> str:
    return "\n".join(f"{place(name, _keys(item))}: {_explain_one(dict(item))}" for item in map(dict, error.errors()))


def _keys(item: dict[str, Any]) -> list[Any]:
    """Where the error is. An error of a whole that names a key of it, first thing, is there."""
    keys = list(item["loc"])
    named = re.match(r"(?:Value error, )?([\w.\[\]]+)", item["msg"])
    return keys if named is None or item["type"] != "value_error" else [*keys, *_parts(named[1])]


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python writes out no number of thousands of digits
        return "a number of thousands of digits"
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def _explain_one(item: dict[str, Any]) -> str:
    key = ".".join(str(part) for part in item["loc"]) or "(whole file)"
    if item["type"] == "extra_forbidden":
        return f"{key}: unknown key"
    if item["type"] == "missing":
        return f"{key}: required key is missing"
    if item["type"] == "union_tag_not_found":
        return f"{key}.kind: required key is missing"
    value = item["input"]
    shown = f" = {_short(value)}" if isinstance(value, int | float | str | bool | None) else ""
    if item["msg"].startswith("Input should be "):
        return f"{key}{shown}: must be {item['msg'].removeprefix('Input should be ')}"
    message = item["msg"].removeprefix("Value error, ")
    return message if key == "(whole file)" else f"{key}{shown}: {message}"
