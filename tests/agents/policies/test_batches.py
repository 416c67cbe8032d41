"""A baseline acts on many cells as it acts on each alone; and its numbers can be moved, in each cell to another one."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from streamflow_agents.policies.baselines import BASELINE_NAMES, Baseline, make_baseline
from streamflow_agents.policies.baselines.desk import REMEMBERED_S
from streamflow_env.environment.observations import ObservationTable
from streamflow_env.environment.vector_env import StreamFlowVectorEnv
from streamflow_env.errors import ConfigError
from streamflow_env.paths import config_names
from streamflow_env.system import load_system
from studies.tuning.form import EXPERT, LEVELS, Form, TuningPlan, load_second_plan, load_tuning_plan

SYSTEM = load_system()
TABLE = ObservationTable(SYSTEM)
CELLS, STEPS = 2, 40


class Recorded(NamedTuple):
    """Observations, shape (steps, cells, size), and where an episode starts, shape (steps, cells)."""

    observations: NDArray[np.float32]
    starts: NDArray[np.bool_]


@pytest.fixture(scope="module")
def recorded() -> Recorded:
    """Some minutes of every scenario, with the default settings and with the playbook's; some cells start anew."""
    rng = np.random.default_rng(0)
    actions = np.stack(
        [make_baseline(name, SYSTEM, TABLE).predict(TABLE.low)[0] for name in ("do_nothing", "playbook")]
    )
    found = []
    for scenario in config_names("scenarios"):
        env = StreamFlowVectorEnv(CELLS, scenario, autoreset_mode=AutoresetMode.DISABLED, metrics=False)
        observations, starts = env.reset(options={"episode_seed": 1})[0], np.ones(CELLS, dtype=bool)
        for _ in range(STEPS):
            found.append((observations, starts))
            observations, starts = env.step(actions)[0], rng.random(CELLS) < 0.03
            if starts.any():
                observations = env.reset(options={"episode_seed": 2, "reset_mask": starts})[0]
    by_scenario = [
        Recorded(*map(np.array, zip(*found[i : i + STEPS], strict=True))) for i in range(0, len(found), STEPS)
    ]
    return Recorded(*(np.concatenate(each, axis=1) for each in zip(*by_scenario, strict=True)))


def run(policy: Baseline, recorded: Recorded, **more: Any) -> NDArray[np.float32]:
    """The actions of all cells together, shape (steps, cells, num_controls)."""
    state, actions = None, []
    for observations, starts in zip(*recorded, strict=True):
        action, state = policy.predict(observations, state=state, episode_start=starts, **more)
        actions.append(action)
    return np.array(actions)


@pytest.mark.parametrize("name", [*BASELINE_NAMES, "expert~predictive", "expert~hpa"])
def test_cells_together_act_as_each_alone(name: str, recorded: Recorded) -> None:
    policy = make_baseline(name, SYSTEM, TABLE)
    together = run(policy, recorded)
    for cell in range(recorded.starts.shape[1]):
        alone = run(policy, Recorded(recorded.observations[:, cell], recorded.starts[:, cell]))
        np.testing.assert_array_equal(together[:, cell], alone)


@pytest.mark.parametrize("plan", [load_second_plan(), load_tuning_plan("varied")], ids=LEVELS)
def test_a_number_moved_in_one_cell_is_that_of_a_policy_with_it_in_its_file(
    plan: TuningPlan, recorded: Recorded
) -> None:
    """Every number that is tuned, in each cell at another place of its range."""
    form, rng = Form(EXPERT, plan), np.random.default_rng(0)
    cells = [0, 5, 6, 11]
    some = Recorded(recorded.observations[:, cells], recorded.starts[:, cells])
    files = [form.values({path: float(rng.random()) for path in form.ranges}) for _ in cells]
    policy, numbers = form.policies(files)
    together = run(policy, some, numbers=numbers)
    for cell, values in enumerate(files):
        alone = run(form.policy(values), Recorded(some.observations[:, [cell]], some.starts[:, [cell]]))
        np.testing.assert_array_equal(together[:, cell], alone[:, 0])
    assert len(np.unique(together.reshape(-1, together.shape[-1]), axis=0)) > 2 * len(cells)


@pytest.mark.parametrize("load_plan", [load_tuning_plan, load_second_plan])
@pytest.mark.parametrize(("level", "expert"), [("calm", "expert"), ("varied", "adaptive_expert")])
def test_every_number_that_is_tuned_can_be_moved(load_plan: Any, level: str, expert: str) -> None:
    assert set(load_plan(level).expert) <= set(make_baseline(expert, SYSTEM, TABLE).numbers)


@pytest.mark.parametrize("name", BASELINE_NAMES)
def test_numbers_where_they_are_move_nothing(name: str, recorded: Recorded) -> None:
    policy = make_baseline(name, SYSTEM, TABLE)
    np.testing.assert_array_equal(run(policy, recorded, numbers=policy.numbers), run(policy, recorded))


def test_a_number_moves_for_one_step_alone() -> None:
    policy = make_baseline("expert", SYSTEM, TABLE)
    calm, names = TABLE.low, SYSTEM.control_table.names

    def asked(action: NDArray[np.float32]) -> float:
        return float(SYSTEM.control_table.natural(action)[names.index("llm_ask")])

    moved, state = policy.predict(calm, numbers={"settings/llm_ask": 0.25})
    after, _ = policy.predict(calm, state)
    assert [asked(moved), asked(after)] == pytest.approx([0.25, policy.numbers["settings/llm_ask"]], abs=1e-6)


def test_what_is_older_than_is_remembered_is_forgotten(recorded: Recorded) -> None:
    """Longer than any episode here, so that some cells see more than they may remember."""
    policy = make_baseline("predictive", SYSTEM, TABLE)
    twice = Recorded(np.tile(recorded.observations, (2, 1, 1)), np.tile(recorded.starts, (2, 1)))
    twice.starts[1:] = False
    assert len(twice.starts) * SYSTEM.control_interval_s > REMEMBERED_S
    for path in ("predictive/trend_s", "predictive/hold_s"):
        most, longer, less = (run(policy, twice, numbers={path: s}) for s in (REMEMBERED_S, 1e6, 300.0))
        np.testing.assert_array_equal(most, longer)
        assert (most != less).any()


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"predictive/bta": 1.0}, r"predictive/bta.*predictive/beta"),
        ({"nosuch": 1.0}, "nosuch.*none"),
        ({"predictive/beta": [1.0, 2.0]}, r"predictive/beta.*must be finite, one or 3; has shape \(2,\)"),
        ({"predictive/beta": float("nan")}, "predictive/beta.*must be finite"),
    ],
)
def test_a_wrong_number_is_an_error(numbers: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_baseline("expert", SYSTEM, TABLE).predict(np.stack([TABLE.low] * 3), numbers=numbers)
