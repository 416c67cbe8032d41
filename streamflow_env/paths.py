"""Where the shipped configuration lies: `configs/` of a checkout, or the copy inside an installed wheel."""

from __future__ import annotations

from pathlib import Path

from streamflow_env.errors import ConfigError

_PACKAGE = Path(__file__).resolve().parent
CONFIGS = _PACKAGE / "configs" if (_PACKAGE / "configs").is_dir() else _PACKAGE.parent / "configs"


def config_path(folder: str, name: str | Path) -> Path:
    """The YAML file called `name` in `configs/<folder>`, or `name` itself where it is the path of a file.

    Raises:
        ConfigError: no such file; the message lists the names there are.
    """
    if not isinstance(name, (str, Path)):
        raise ConfigError(f"{folder} {name!r}: must be a name, or the path of a file")
    shipped = CONFIGS / folder / f"{name}.yaml"
    if shipped.is_file():
        return shipped
    if Path(name).is_file():
        return Path(name)
    raise ConfigError(f"{folder} {str(name)!r}: neither a file nor one of {', '.join(config_names(folder))}")


def config_names(folder: str) -> list[str]:
    """The names of the shipped YAML files in `configs/<folder>`."""
    return sorted(path.stem for path in (CONFIGS / folder).glob("*.yaml"))
