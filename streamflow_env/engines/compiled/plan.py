"""The plans of all request classes as one array of instructions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamflow_env.engines.compiled.records import (
    COMPUTE,
    EMIT,
    END,
    ENTER,
    FILL,
    INVALIDATE,
    LEAVE,
    LOOKUP,
    QUERY,
    STEP,
)
from streamflow_env.engines.draws.distributions import duration_code
from streamflow_env.system import (
    CallStep,
    ComputeStep,
    EmitStep,
    FillStep,
    InvalidateStep,
    LookupStep,
    QueryStep,
    Step,
    System,
)


def flatten(system: System) -> tuple[NDArray[Any], list[int]]:
    """All plans as one array of instructions, dtype STEP, and the position of each class's first instruction."""
    instructions: list[dict[str, Any]] = []
    first = []
    for request_class in system.classes.values():
        first.append(len(instructions))
        if request_class.kind == "interactive":
            entry = system.service_names.index(system.users.entry)
            instructions.append({"op": ENTER, "number": 0, "service": entry, "top": entry})
        _Flattener(system, instructions).plan(request_class.plan, pool=-1, top=-1)
        instructions.append({"op": END})
    steps = np.zeros(len(instructions), STEP)
    for record, instruction in zip(steps, instructions, strict=True):
        for name, value in instruction.items():
            record[name] = value
    return steps, first


class _Flattener:
    """Writes the plan of a class as instructions. Its steps are numbered depth-first from 1."""

    def __init__(self, system: System, instructions: list[dict[str, Any]]) -> None:
        self._system = system
        self._out = instructions
        self._number = 0

    def plan(self, plan: tuple[Step, ...], pool: int, top: int) -> None:
        for step in plan:
            self._step(step, pool, top)

    def _step(self, step: Step, pool: int, top: int) -> None:
        self._number += 1
        number = self._number
        index = self._system.service_names.index
        match step:
            case CallStep():
                service = index(step.call)
                outermost = service if top < 0 else top
                common = {"number": number, "service": service, "top": outermost}
                self._out.append({"op": ENTER, **common})
                self.plan(step.holding, service, outermost)
                self._out.append({"op": LEAVE, **common})
            case QueryStep():
                to = index(self._system.calls[step.query].to)
                call = self._system.call_names.index(step.query)
                self._out.append(
                    {
                        "op": QUERY,
                        "number": number,
                        "call": call,
                        "service": to,
                        "pool": pool,
                        "top": to if top < 0 else top,
                    }
                )
            case ComputeStep(compute=work):
                family, a, b = duration_code(work.mean_s, work.cv, work.distribution)
                self._out.append(
                    {"op": COMPUTE, "number": number, "pool": pool, "top": top, "family": family, "a": a, "b": b}
                )
            case LookupStep():
                service = index(step.lookup)
                instruction = {
                    "op": LOOKUP,
                    "number": number,
                    "service": service,
                    "top": service if top < 0 else top,
                    "is_item": step.key == "item",
                }
                self._out.append(instruction)
                self.plan(step.on_miss, pool, top)
                instruction["jump"] = len(self._out)
            case FillStep():
                service = index(step.fill)
                outermost = service if top < 0 else top
                is_item = step.key == "item"
                self._out.append(
                    {"op": FILL, "number": number, "service": service, "top": outermost, "is_item": is_item}
                )
            case InvalidateStep():
                self._out.append({"op": INVALIDATE, "number": number, "service": index(step.invalidate), "top": top})
            case EmitStep():
                self._out.append({"op": EMIT, "number": number, "service": index(step.emit), "top": top})
