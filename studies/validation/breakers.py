"""Both engines' circuit breakers under scripts of calls, each against what resilience4j does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

import numpy as np

from streamflow_env.engines.circuit_breaker import STATES, CircuitBreaker
from streamflow_env.engines.compiled.breaker import lay_out_breaker, permits, record, set_threshold
from streamflow_env.engines.compiled.records import CALL_STATE
from streamflow_env.engines.compiled.state import Memory
from streamflow_env.engines.draws.distributions import to_ns
from streamflow_env.system import Breaker
from studies.validation.breaker_cases import BREAKER_CASES
from studies.validation.cases import Case


class AnyBreaker(Protocol):
    """What a script needs of a breaker: `CircuitBreaker`'s methods."""

    @property
    def state(self) -> str: ...

    def permits(self, time_s: float) -> bool: ...

    def record(self, *, failed: bool, took_s: float, time_s: float) -> bool: ...

    def set_threshold(self, threshold_fraction: float | None) -> None: ...


class CompiledBreaker:
    """The compiled engine's breaker functions over a record of their own."""

    def __init__(self, config: Breaker) -> None:
        self._call: Any = np.recarray(1, CALL_STATE)[0]
        self._call.fill(0)
        memory = Memory()
        lay_out_breaker(self._call, config, memory)
        self._memory = memory.array()

    @property
    def state(self) -> str:
        return STATES[int(self._call["breaker_state"])]

    def permits(self, time_s: float) -> bool:
        return bool(permits(self._call, to_ns(time_s)))

    def record(self, *, failed: bool, took_s: float, time_s: float) -> bool:
        before = int(self._call["opened"])
        record(self._call, self._memory, to_ns(time_s), failed, to_ns(took_s))
        return int(self._call["opened"]) > before

    def set_threshold(self, threshold_fraction: float | None) -> None:
        set_threshold(self._call, 1.0 if threshold_fraction is None else threshold_fraction)


BREAKERS: Final[dict[str, Callable[[Breaker], AnyBreaker]]] = {
    "reference": CircuitBreaker,
    "compiled": CompiledBreaker,
}


def play(breaker: AnyBreaker, script: str) -> str:
    """What `breaker` says to a script: yes or no to each `ask`, its state at each `?`.

    | word | meaning |
    |---|---|
    | `@T` | it is T seconds |
    | `ask` | may a call be made? |
    | `ok:D`, `fail:D` | a call went well, or failed, after D seconds (0 where it is left out) |
    | `set:X` | the threshold becomes X |
    | `?` | which state? |
    | a word`*N` | N times |
    """
    said: list[str] = []
    time_s = 0.0
    for word, times in (_split(word) for word in script.split()):
        verb, _, value = word.partition(":")
        for _ in range(times):
            if verb.startswith("@"):
                time_s = float(verb[1:])
            elif verb == "ask":
                said.append("yes" if breaker.permits(time_s) else "no")
            elif verb == "?":
                said.append(breaker.state)
            elif verb == "set":
                breaker.set_threshold(float(value))
            elif verb in ("ok", "fail"):
                breaker.record(failed=verb == "fail", took_s=float(value or 0), time_s=time_s)
            else:
                raise ValueError(f"{word!r}: no such word of a script")
    return " ".join(said)


def _split(word: str) -> tuple[str, int]:
    word, _, times = word.partition("*")
    return word, int(times or 1)


def breaker_cases() -> list[Case]:
    """Every case, played on both engines' breakers; they must both say what resilience4j says."""
    cases = []
    for name, source, config, script, expected in BREAKER_CASES:
        said = {engine: play(make(Breaker.model_validate(config)), script) for engine, make in BREAKERS.items()}
        got = said["reference"]
        if said["compiled"] != got:
            got = "; ".join(f"{engine}: {words}" for engine, words in said.items())
        cases.append(Case("circuit breaker", name, source, expected, got))
    return cases
