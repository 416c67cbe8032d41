"""Same system, seed and actions: the same trajectory in both engines, visit by visit, in every scenario."""

import pytest

from streamflow_env.engines import make_engine
from streamflow_env.paths import config_path
from streamflow_env.scenarios import load_scenario, scenario_names
from streamflow_env.system import load_system
from streamflow_env.system.schema import read_yaml
from studies.equivalence.comparison import ActionMode, actions, compare_engines
from studies.equivalence.run import VARIED, Arguments, episodes

TWENTY_MINUTES = 80  # control intervals of 15 s
PEAK = ("evening-peak", "whole-day")
"""They have three times the load and no incident: ten minutes of the peak will do."""
SYSTEM = load_system()
INCIDENTS = ("llm-rate-limit", "invalidation-storm", "retry-storm", "compound")
MODES: tuple[tuple[ActionMode, int], ...] = (("near", 0), ("random", 1))
"""Each kind of actions, with its seed."""
EPISODES = [
    (name, mode, seed)
    for index, name in enumerate(name for name in scenario_names() if not name.startswith(("varied-", "storm-")))
    for mode, seed in (MODES if name in INCIDENTS else [MODES[index % 2]])
]
"""The scenarios with an incident have both kinds of actions; the others take turns; mixtures stand for members."""


@pytest.mark.parametrize(("name", "mode", "seed"), EPISODES)
def test_engines_are_equal(name: str, mode: ActionMode, seed: int) -> None:
    """The study `equivalence` compares 20 seeds, for an hour each."""
    content = read_yaml(config_path("scenarios", name))
    if name in PEAK:
        content["traffic"]["start_hour"] = 19.8  # so that the peak falls into the ten minutes
    episode = load_scenario(content).episode(SYSTEM, seed)
    num_intervals = TWENTY_MINUTES // 2 if name in PEAK else TWENTY_MINUTES
    comparison = compare_engines(SYSTEM, episode, mode, num_intervals)
    assert comparison.differences == ()
    assert comparison.num_intervals == num_intervals
    assert comparison.num_attempts > 15_000
    assert comparison.num_failed > 0


def test_the_study_has_twenty_seeds_of_cells_that_differ() -> None:
    pairs = episodes(Arguments(evening=False))
    varied = [pair for pair in pairs if pair[0] in VARIED]
    assert {seed for _, seed, _, _ in varied} == set(range(20))
    assert {(scenario, mode) for scenario, _, mode, _ in varied} == {(s, m) for s in VARIED for m, _ in MODES}
    for scenario, seed, _, _ in varied:
        assert load_scenario(scenario).episode(SYSTEM, seed).system is not None
    assert len(pairs) == 40


def test_twenty_minutes_contain_the_incident() -> None:
    for name in INCIDENTS:
        for _, seed in MODES:
            episode = load_scenario(name).episode(SYSTEM, seed)
            assert any(0 < mark.start_s < 960 for mark in episode.marks), (name, seed)


def test_a_difference_is_seen() -> None:
    episode = load_scenario("normal").episode(SYSTEM, 0)
    engines = [make_engine(name, SYSTEM, log=True) for name in ("compiled", "reference")]
    for engine in engines:
        engine.reset(episode)
    settings = actions(SYSTEM, "random", 0)
    results = [engine.step(next(settings)) for engine in engines]
    assert results[0].differences(results[1])
