"""How YAML becomes frozen, validated objects, and how errors in it are reported.

Every configuration class derives from `Frozen`. Unknown keys, wrong types and values out of range are errors. Nothing
is coerced, and nothing can be changed afterwards. `load` turns pydantic's report into one `ConfigError` that names the
file, the key, the value and what is allowed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from streamflow_env.errors import ConfigError

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Positive = Annotated[Number, Field(gt=0)]
NonNegative = Annotated[Number, Field(ge=0)]
Fraction = Annotated[Number, Field(ge=0, le=1)]
Integer = Annotated[int, Field(strict=True)]
Count = Annotated[Integer, Field(ge=1)]
Size = Annotated[Integer, Field(ge=0)]
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
    """Validate `data`, called `name` in errors, as a `model`. Raises ConfigError."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise ConfigError(_explain(name, error)) from None


def read_yaml(path: Path | str) -> Any:
    """The content of a YAML file. Raises ConfigError where it cannot be read; duplicate keys are errors too."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    try:
        return yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from None


class _UniqueKeyLoader(yaml.SafeLoader):
    """A SafeLoader for which a key given twice is an error rather than a silent override."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is given twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def _explain(name: str, error: ValidationError) -> str:
    return "\n".join(f"{name}: {_explain_one(dict(item))}" for item in error.errors())


def _explain_one(item: dict[str, Any]) -> str:
    key = ".".join(str(part) for part in item["loc"]) or "(whole file)"
    if item["type"] == "extra_forbidden":
        return f"{key}: unknown key"
    if item["type"] == "missing":
        return f"{key}: required key is missing"
    if item["type"] == "union_tag_not_found":
        return f"{key}.kind: required key is missing"
    value = item["input"]
    shown = f" = {value!r}" if isinstance(value, int | float | str | bool | None) else ""
    if item["msg"].startswith("Input should be "):
        return f"{key}{shown}: must be {item['msg'].removeprefix('Input should be ')}"
    message = item["msg"].removeprefix("Value error, ")
    return message if key == "(whole file)" else f"{key}{shown}: {message}"
