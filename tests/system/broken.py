"""The shipped system with something wrong in it, and what is said of it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from streamflow_env.errors import ConfigError
from streamflow_env.paths import config_path
from streamflow_env.system import load_system
from streamflow_env.system.schema import read_yaml

SHIPPED: dict[str, Any] = read_yaml(config_path("system", "streamflow"))
GONE = object()
"""The key is left out."""


def changed(*changes: tuple[str, Any]) -> dict[str, Any]:
    """The shipped system with some keys, given as paths like `services.auth.replicas`, changed."""
    content = copy.deepcopy(SHIPPED)
    for path, value in changes:
        *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        target: Any = content
        for part in parents:
            target = target[part]
        if value is GONE:
            del target[last]
        else:
            target[last] = value
    return content


def error_of(content: dict[str, Any], tmp_path: Path) -> str:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_system(path)
    message = str(caught.value)
    assert all(line.startswith(str(path)) for line in message.splitlines()), "every line names the file"
    return message


def control(name: str) -> int:
    return [c["name"] for c in SHIPPED["controls"]].index(name)
