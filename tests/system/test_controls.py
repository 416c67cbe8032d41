"""The controls' two maps are each other's inverse, and every part of every axis has an effect."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from streamflow_env.errors import ConfigError
from streamflow_env.system import Control, ControlTable, load_system

SYSTEM = load_system()
TABLE = SYSTEM.control_table
NUM = len(TABLE)
LOW = np.array([control.low for control in TABLE.controls])
HIGH = np.array([control.high for control in TABLE.controls])
INTEGER = np.array([control.is_integer for control in TABLE.controls])
ACTIONS = arrays(np.float64, NUM, elements=st.floats(-1, 1))
NAMES = pytest.mark.parametrize("name", TABLE.names)


@given(ACTIONS)
def test_action_is_the_inverse_of_natural(action: np.ndarray) -> None:
    """To float32's precision where a control is continuous, to one whole number where it is not."""
    again = TABLE.action(TABLE.natural(action))
    assert again[~INTEGER] == pytest.approx(action[~INTEGER], abs=1e-6)
    below, above = TABLE.natural(action) - 0.51, TABLE.natural(action) + 0.51
    assert (TABLE.natural(action)[INTEGER] == np.rint(TABLE.natural(action)[INTEGER])).all()
    loose_low, loose_high = TABLE.action(np.floor(below)), TABLE.action(np.ceil(above))
    assert (loose_low[INTEGER] - 1e-6 <= action[INTEGER]).all()
    assert (action[INTEGER] <= loose_high[INTEGER] + 1e-6).all()


@given(ACTIONS)
def test_natural_is_the_inverse_of_action(action: np.ndarray) -> None:
    natural = TABLE.natural(action)
    again = TABLE.natural(TABLE.action(natural))
    assert (again[INTEGER] == natural[INTEGER]).all()
    assert again == pytest.approx(natural, rel=1e-5, abs=1e-6)


@given(arrays(np.float64, NUM, elements=st.floats(-1e9, 1e9)))
def test_natural_values_are_in_range(values: np.ndarray) -> None:
    for natural in (TABLE.clip(values), TABLE.natural(values)):
        assert (natural >= LOW).all()
        assert (natural <= HIGH).all()
        assert (natural[INTEGER] == np.rint(natural[INTEGER])).all()
    assert (np.abs(TABLE.action(values)) <= 1).all()


def test_the_ends_of_the_axis_are_the_ends_of_the_range() -> None:
    assert (TABLE.natural(np.full(NUM, -1.0)) == LOW).all()
    assert (TABLE.natural(np.full(NUM, 1.0)) == HIGH).all()


def test_high_is_reached_exactly() -> None:
    low, high = 0.7, 12.0
    assert low * (high / low) < high, "else this shows nothing"
    control = Control(
        name="a",
        of="b",
        parameter="timeout_s",
        low=low,
        high=high,
        scale="log",
        off_at_high=True,
        meaning="-",
    )
    assert ControlTable((control,), np.array([high])).natural(np.ones(1)) == [high]


def test_the_default_action_sets_the_default_values() -> None:
    assert TABLE.natural(TABLE.action(TABLE.default)) == pytest.approx(TABLE.default, rel=1e-6)
    found = dict(zip(TABLE.names, TABLE.default.tolist(), strict=True))
    off = {control.name: control.high for control in TABLE.controls if control.off_at_high}
    assert found == found | off, "what can be off is off by default"
    assert found["auth_replicas"] == SYSTEM.services["auth"].replicas  # type: ignore[union-attr]
    assert found["llm_ask"] == SYSTEM.calls["engine_llm"].ask_fraction


@NAMES
def test_both_halves_of_the_axis_have_an_effect(name: str) -> None:
    """In each half of [-1, 1] the natural value grows, and it never falls."""
    index = TABLE.names.index(name)
    action = TABLE.action(TABLE.default).astype(np.float64)
    values = []
    for position in np.linspace(-1, 1, 201):
        action[index] = position
        natural = TABLE.natural(action)
        values.append(natural[index])
        others = np.arange(NUM) != index
        assert natural[others] == pytest.approx(TABLE.default[others], rel=1e-6), "a control sets its own value only"
    assert (np.diff(values) >= 0).all()
    assert values[0] < values[100] < values[200]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_action_that_is_not_finite(bad: float) -> None:
    action = np.zeros(NUM)
    action[3] = bad
    with pytest.raises(ConfigError, match=rf"{TABLE.names[3]} is not finite, must be in \[-1, 1\]"):
        TABLE.natural(action)


@pytest.mark.parametrize("shape", [(), (NUM - 1,), (NUM + 1,), (1, NUM)])
def test_an_action_of_a_wrong_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match=rf"must be \({NUM},\)"):
        TABLE.natural(np.zeros(shape))


def test_controls_by_name() -> None:
    natural = TABLE.with_values(auth_replicas=7, llm_ask=0.25)
    changed = {name: new for name, new, old in zip(TABLE.names, natural, TABLE.default, strict=True) if new != old}
    assert changed == {"auth_replicas": 7, "llm_ask": 0.25}
    with pytest.raises(ConfigError, match="unknown control 'auth'; known: gateway_replicas"):
        TABLE.with_values(auth=5)
    with pytest.raises(ConfigError, match=r"llm_ask = 1.5: must be in \[0.0, 1.0\] fraction"):
        TABLE.with_values(llm_ask=1.5)
    with pytest.raises(ConfigError, match=r"llm_ask = nan: must be in"):
        TABLE.with_values(llm_ask=float("nan"))


def test_each_control_is_documented() -> None:
    for control in TABLE.controls:
        assert len(control.meaning) > 10
        assert control.unit
