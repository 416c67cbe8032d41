"""The engines: two implementations of one model. Controls go in, telemetry comes out; nothing else crosses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from streamflow_env.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from streamflow_env.engines.fleet import Fleet
    from streamflow_env.engines.telemetry import Telemetry
    from streamflow_env.episode import Episode
    from streamflow_env.system import System

EngineName = Literal["compiled", "reference"]
ENGINE_NAMES: tuple[EngineName, ...] = ("compiled", "reference")


class Engine(Protocol):
    """Simulates one system. A pickled and restored engine continues identically."""

    def reset(self, episode: Episode) -> Telemetry:
        """Start `episode` with warm caches and simulate the warm-up with the default controls.

        Returns the telemetry of the warm-up's last control interval.
        """

    def step(self, controls: NDArray[np.float64]) -> Telemetry:
        """Put `controls` in force and simulate one control interval; returns its telemetry.

        `controls` are in natural units, shape (num_controls,).
        """


def make_engine(name: str, system: System, *, log: bool = False) -> Engine:
    """The engine called `name` for `system`; with `log`, its telemetry holds every visit and every answer.

    Raises:
        ConfigError: `name` is unknown.
    """
    if name == "compiled":
        from streamflow_env.engines.compiled import CompiledEngine

        return CompiledEngine(system, log=log)
    if name == "reference":
        from streamflow_env.engines.reference import ReferenceEngine

        return ReferenceEngine(system, log=log)
    raise ConfigError(f"engine {name!r}: must be one of {', '.join(ENGINE_NAMES)}")


def make_fleet(name: str, system: System, num_cells: int, num_threads: int = 1) -> Fleet:
    """`num_cells` cells of `system` on the engine called `name`, stepped together.

    Raises:
        ConfigError: `name` is unknown.
    """
    from streamflow_env.engines.fleet import Fleet

    if name == "compiled":
        from streamflow_env.engines.compiled.fleet import CompiledFleet

        return CompiledFleet(system, num_cells, num_threads)
    return Fleet(system, [make_engine(name, system) for _ in range(num_cells)], num_threads)
