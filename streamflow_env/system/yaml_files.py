"""YAML files: what they hold, in the reading of YAML 1.2, and in which line it stands.

PyYAML reads YAML 1.1: there `18:00` is 1080, `010` is 8 and `no` is false. These files are read by the core schema of
YAML 1.2: a plain scalar is null, true or false, a number in decimal (`0o17` octal, `0x1f` hexadecimal), or a text. A
key given twice is an error, and so is a file that would not fit in memory once its aliases are written out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from streamflow_env.errors import ConfigError

MAX_VALUES: Final = 100_000
"""How many values a configuration may hold, aliases written out."""
MAX_DEPTH: Final = 60
"""How deep they may be nested."""

_DIGITS: Final = r"[0-9]+(?:_[0-9]+)*"
_WHOLE: Final = re.compile(rf"(?:[-+]?{_DIGITS}|0o[0-7]+|0x[0-9a-fA-F]+)\Z")
_REAL: Final = re.compile(
    rf"(?:[-+]?(?:\.{_DIGITS}|{_DIGITS}(?:\.(?:{_DIGITS})?)?)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
)
_RESOLVERS: Final = (
    ("null", re.compile(r"(?:~|null|Null|NULL|)\Z"), ["~", "n", "N", ""]),
    ("bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), list("tTfF")),
    ("int", _WHOLE, list("-+0123456789")),
    ("float", _REAL, list("-+.0123456789")),
)
"""(tag, pattern, first characters) of the plain scalars that are not texts: YAML 1.2, section 10.3.2.

Digits may be grouped, as in `100_000`, which YAML 1.2 left out.
"""


class _Loader(yaml.SafeLoader):
    """A SafeLoader with the core schema of YAML 1.2, for which a key given twice is an error."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML declares it so

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be one word", key_node.start_mark)
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is given twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_whole(self, node: Any) -> int:
        text = str(self.construct_scalar(node))
        if not _WHOLE.match(text):
            raise yaml.constructor.ConstructorError(None, None, f"{text!r} is not a whole number", node.start_mark)
        return int(text[2:], 8) if text[:2] == "0o" else int(text, 16) if text[:2] == "0x" else int(text)

    def construct_real(self, node: Any) -> float:
        text = str(self.construct_scalar(node))
        if not _REAL.match(text):
            raise yaml.constructor.ConstructorError(None, None, f"{text!r} is not a number", node.start_mark)
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


class _Dumper(yaml.SafeDumper):
    """A SafeDumper that puts in quotes what YAML 1.1 or 1.2 would not read as the same text."""

    def represent_text(self, text: str) -> Node:
        has_break = any(mark in text for mark in "\r\x85\u2028\u2029")  # PyYAML writes them as they are
        return self.represent_scalar("tag:yaml.org,2002:str", text, style='"' if has_break else None)


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_whole)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_real)
_Dumper.add_representer(str, _Dumper.represent_text)
for _tag, _pattern, _first in _RESOLVERS:
    for _kind in (_Loader, _Dumper):
        _kind.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _pattern, _first)


def read_yaml(path: Path | str) -> Any:
    """The content of a YAML file. Raises ConfigError, naming the line, where it cannot be read."""
    return parse_yaml(_text_of(path), str(path))


def parse_yaml(text: str, name: str = "text") -> Any:
    """The content of YAML `text`, called `name` in errors. Raises ConfigError as `read_yaml`."""
    try:
        root = _root(text)
        check_size(root, name)
        return _Loader("").construct_document(root) if root is not None else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = name if mark is None else f"{name}: line {mark.line + 1}"
        raise ConfigError(f"{at}: not valid YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: not valid YAML: {error}") from None
    except ValueError as error:  # a number of thousands of digits; a tag that its value does not fit
        raise ConfigError(f"{name}: {error}") from None
    except RecursionError:
        raise ConfigError(f"{name}: is nested too deep: must be at most {MAX_DEPTH} deep") from None


def dump_yaml(data: Any) -> str:
    """`data` as YAML, in its own order; `read_yaml` and any reader of YAML 1.1 give the same data back."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def line_of(path: Path | str, keys: Sequence[Any]) -> int | None:
    """The line in which a file has what lies at `keys`, or the nearest part around it; None if it has no such thing.

    What is no key where it stands is left out: pydantic names the kinds that it has tried.
    """
    try:
        node = _root(_text_of(path))
    except (ConfigError, yaml.YAMLError, RecursionError):
        return None
    line = None if node is None else node.start_mark.line
    for key in keys:
        found = _child(node, key)
        if found is not None:
            line, node = found
    return None if line is None else line + 1


def check_size(data: Any, name: str) -> None:
    """Raises ConfigError where `data`, nodes or plain values, is too large, or holds itself."""
    num_values, depth = _measure(data, {}, ())
    if num_values > MAX_VALUES:
        raise ConfigError(f"{name}: holds {num_values:,} values, aliases written out: must be at most {MAX_VALUES:,}")
    if depth > MAX_DEPTH:
        raise ConfigError(f"{name}: is nested {depth} deep: must be at most {MAX_DEPTH}")


def _measure(data: Any, known: dict[int, tuple[int, int]], around: tuple[int, ...]) -> tuple[int, int]:
    """(values, depth) of `data`. What is there more than once is measured once."""
    children = _children(data)
    if children is None:
        return 1, 0
    if id(data) in known:
        return known[id(data)]
    if id(data) in around:
        raise ConfigError("a part of it holds itself")
    if len(around) > 4 * MAX_DEPTH:
        return 1, len(around)
    measured = [_measure(child, known, (*around, id(data))) for child in children]
    known[id(data)] = 1 + sum(size for size, _ in measured), 1 + max((depth for _, depth in measured), default=0)
    return known[id(data)]


def _children(data: Any) -> Iterable[Any] | None:
    match data:
        case MappingNode():
            return [part for pair in data.value for part in pair]
        case SequenceNode():
            return data.value  # type: ignore[no-any-return]
        case dict():
            return data.values()
        case list() | tuple():
            return data
    return None


def _child(node: Node | None, key: Any) -> tuple[int, Node] | None:
    """(line, node) of what `node` has under `key`; of a mapping the line is that of the key."""
    if isinstance(node, MappingNode):
        pairs = (pair for pair in node.value if isinstance(pair[0], ScalarNode) and pair[0].value == str(key))
        return next(((name.start_mark.line, value) for name, value in pairs), None)
    if isinstance(node, SequenceNode) and isinstance(key, int) and key < len(node.value):
        return node.value[key].start_mark.line, node.value[key]
    return None


def _root(text: str) -> Node | None:
    loader = _Loader(text)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


def _text_of(path: Path | str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
