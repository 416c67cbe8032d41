"""A system so many times as large: every field has its kind, and at normal load it shows what the cell shows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.errors import ConfigError
from streamflow_env.system import load_system
from streamflow_env.system.scaling import EXTENSIVE, INTENSIVE, INVERSE, scaled
from streamflow_env.system.schema import Frozen
from tests.studies.accounting.small import small_system

FACTOR = 4
NUM_STEPS = 480
STEADY: dict[str, Any] = {
    "name": "steady",
    "horizon_s": 86_400.0,
    "traffic": {"kind": "ramps", "start_hour": 12, "level": 1.0},
}


@pytest.mark.parametrize("part", EXTENSIVE, ids=lambda part: part.__name__)
def test_every_field_has_its_kind_and_one_only(part: type[Frozen]) -> None:
    kinds = [*EXTENSIVE[part], *INVERSE.get(part, ()), *INTENSIVE[part]]
    assert sorted(kinds) == sorted(part.model_fields)


def test_what_is_extensive_is_multiplied_and_what_is_intensive_is_not() -> None:
    cell, large = load_system(), scaled(load_system(), FACTOR)
    for name, service in cell.services.items():
        other = large.services[name]
        for field in type(service).model_fields:
            value, theirs = getattr(service, field), getattr(other, field)
            factor = FACTOR if field in EXTENSIVE[type(service)] else 1
            factor_of = value * factor if factor != 1 and value is not None else value
            if field in INVERSE.get(type(service), ()):
                factor_of = value / FACTOR
            assert theirs == factor_of, f"{name}.{field}"
    assert large.users.num_users == 500_000
    assert large.users.num_items == cell.users.num_items
    assert large.classes["feed"].normal_rate_rps == 114.0
    assert large.classes["feed"].plan == cell.classes["feed"].plan
    assert large.calls["engine_llm"].breaker is not None
    assert large.calls["engine_llm"].breaker.window_size == 400
    assert large.calls["engine_llm"].max_attempts == cell.calls["engine_llm"].max_attempts


def test_controls_of_what_is_extensive_have_wider_ranges() -> None:
    cell, large = load_system(), scaled(load_system(), FACTOR)
    ranges = {
        c.name: (a.low / c.low, a.high / c.high) for c, a in zip(cell.controls, large.controls, strict=True) if c.low
    }
    wider = {name for name, (low, high) in ranges.items() if low == high == FACTOR}
    assert wider == {
        "gateway_rate_limit",
        "auth_queue_limit",
        "engine_queue_limit",
        "invalidation_rate",
        "cache_memory",
    }
    assert all(both == (1.0, 1.0) for name, both in ranges.items() if name not in wider)
    np.testing.assert_allclose(cell.control_table.action(cell.control_table.default),
                               large.control_table.action(large.control_table.default), atol=1e-6)  # fmt: skip


def test_what_is_off_stays_off_and_once_is_the_same() -> None:
    assert scaled(small_system(), 3).services["store"].model_dump()["invalidation_rate_keys_per_s"] is None
    assert scaled(load_system(), 1) == load_system()


@pytest.mark.parametrize("factor", [0, -1, 2.5])
def test_a_factor_is_a_whole_number_from_one(factor: Any) -> None:
    with pytest.raises(ConfigError, match=r"factor .*at least 1"):
        scaled(load_system(), factor)


def test_the_fleet_is_a_valid_system() -> None:
    fleet = scaled(load_system(), 400)
    assert fleet.users.num_users == 50_000_000
    assert sum(c.normal_rate_rps for c in fleet.classes.values() if c.kind == "interactive") == pytest.approx(12_000.0)


def test_at_normal_load_it_shows_what_the_cell_shows() -> None:
    cell, large = _means(1), _means(FACTOR)
    assert large["offered_rps"] == pytest.approx(FACTOR * cell["offered_rps"], rel=0.02)
    assert large["cost_per_hour"] == pytest.approx(FACTOR * cell["cost_per_hour"], rel=0.02)
    assert large["hit_fraction"] == pytest.approx(cell["hit_fraction"], abs=0.01)
    for name in ("mean_hit_response_s", "mean_miss_response_s"):
        assert large[name] == pytest.approx(cell[name], rel=0.05), name
    for name in ("auth", "user_profile", "profile_db", "engine", "gateway"):
        assert large[f"utilisation.{name}"] == pytest.approx(cell[f"utilisation.{name}"], rel=0.08), name


def _means(factor: int) -> dict[str, float]:
    """Means of the metrics over the intervals of an episode, with the default action."""
    env = StreamFlowEnv(STEADY, system=scaled(load_system(), factor))
    env.reset(options={"episode_seed": 1})
    seen = [env.step(env.default_action)[-1]["metrics"] for _ in range(NUM_STEPS)]
    return {name: float(np.mean([metrics[name] for metrics in seen])) for name in seen[0]}
