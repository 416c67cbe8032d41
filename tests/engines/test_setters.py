"""Both engines can set every parameter of the table, and name no setter for anything else."""

from __future__ import annotations

import pytest

from streamflow_env import system as config
from streamflow_env.engines.compiled import controls as compiled
from streamflow_env.engines.reference import controls as reference
from streamflow_env.system.parameters import CALL, PARAMETERS, Parameter
from streamflow_env.system.schema import Frozen

OWNERS: dict[str, type[Frozen]] = {
    "worker_pool": config.WorkerPool,
    "database": config.Database,
    "vector_index": config.VectorIndex,
    "llm_endpoint": config.LlmEndpoint,
    "cache": config.Cache,
    CALL: config.CallPolicy,
}
EACH = pytest.mark.parametrize("parameter", PARAMETERS.values(), ids=lambda parameter: parameter.name)


@EACH
def test_the_reference_engine_has_a_setter_or_a_field(parameter: Parameter) -> None:
    assert parameter.name in reference.SPECIAL or parameter.name in OWNERS[parameter.kind].model_fields


@EACH
def test_the_compiled_engine_has_a_setter_or_a_field(parameter: Parameter) -> None:
    setter, _ = compiled.setter_of(parameter)
    assert (setter >= 0) == (parameter.name in compiled.SPECIAL)


def test_a_parameter_that_the_compiled_engine_cannot_set() -> None:
    with pytest.raises(NotImplementedError, match="tail_s: the compiled engine needs a setter"):
        compiled.setter_of(Parameter("tail_s", "llm_endpoint", "s", "free"))
    with pytest.raises(NotImplementedError, match="cacheable: the compiled engine needs a setter"):
        compiled.setter_of(Parameter("cacheable", CALL, "-", "free", can_be_off=True))


@pytest.mark.parametrize("special", [tuple(reference.SPECIAL), compiled.SPECIAL], ids=["reference", "compiled"])
def test_setters_are_of_known_parameters(special: tuple[str, ...]) -> None:
    assert set(special) <= PARAMETERS.keys()
