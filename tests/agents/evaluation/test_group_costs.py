"""What each group of the reward costs."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from streamflow_agents.evaluation.episodes import EpisodeResult
from streamflow_agents.evaluation.group_costs import cost_tables, group_costs
from streamflow_agents.evaluation.kept_episodes import Episodes, episodes_of
from streamflow_env.environment.rewards import REWARD_GROUPS, REWARD_TERMS
from streamflow_env.errors import ConfigError

TERMS = dict.fromkeys(REWARD_TERMS, 0.0)


def episodes(policies: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Episodes:
    """One episode of each policy and scenario; its terms are 0 but for those that are given."""
    results = []
    for policy, scenarios in policies.items():
        for scenario, given in scenarios.items():
            terms = {**TERMS, **given}
            figures = {"return": sum(terms.values()), **{f"reward.{name}": value for name, value in terms.items()}}
            results.append(EpisodeResult(policy, scenario, 0, figures))
    return episodes_of(results)


def test_the_groups_share_out_the_return() -> None:
    terms = {name: -float(number) for number, name in enumerate(REWARD_TERMS, 1)}
    costs = group_costs(episodes({"rule": {"a": terms, "b": {"llm": -4.0}}}), "rule", 0)
    assert list(costs) == list(REWARD_GROUPS)
    assert costs["sla"] == -terms["late"] - terms["failed"] - terms["premium"]
    assert costs["price"] == -terms["replicas"] - terms["memory"] - terms["llm"]
    assert sum(costs.values()) == -sum(terms.values())
    both = group_costs(episodes({"rule": {"a": terms, "b": {"llm": -4.0}}}), "rule")
    assert both["sla"] == costs["sla"] / 2
    assert both["price"] == (costs["price"] + 4.0) / 2


def test_the_tables_say_which_group_is_the_largest() -> None:
    kept = episodes({
        "cheap": {"a": {"late": -3.0, "llm": -2.0}, "b": {"late": -1.0, "llm": -2.0}},
        "dear": {"a": {"replicas": -9.0}, "b": {"replicas": -9.0}},
    })  # fmt: skip
    text = "\n".join(cost_tables(kept, ["cheap"]))
    assert "`sla` is late, failed, premium; `quality` is quality;" in text
    assert "| cheap | 2.0 | 0.0 | 0.0 | 0.0 | 2.0 | 4.0 |" in text.replace("**", "")
    assert "| dear | 0.0 | 0.0 | 0.0 | 0.0 | **9.0** | 9.0 |" in text
    assert "the largest group is `sla` in 1, `price` in 1 of 2 policies." in text
    assert "| cheap | a | **3.0** | 0.0 | 0.0 | 0.0 | 2.0 | 5.0 |" in text
    assert "| cheap | b | 1.0 | 0.0 | 0.0 | 0.0 | **2.0** | 3.0 |" in text
    assert "the largest group is `sla` in 1, `price` in 1 of 2 rows." in text
    assert "| dear | a |" not in text


def test_a_policy_that_was_not_evaluated_is_an_error() -> None:
    with pytest.raises(ConfigError, match="'nosuch': was not evaluated"):
        list(cost_tables(episodes({"rule": {"a": {}}}), ["nosuch"]))


@pytest.mark.parametrize(("names", "wrong"), [(set(TERMS) - {"churn"}, "churn"), ({*TERMS, "mood"}, "mood")])
def test_terms_that_are_not_those_of_the_reward_are_an_error(names: set[str], wrong: str) -> None:
    kept = episodes_of([EpisodeResult("rule", "a", 0, {"return": 0.0} | {f"reward.{name}": 0.0 for name in names})])
    with pytest.raises(ConfigError, match=rf"'rule': .* other terms than the reward \({wrong}\)"):
        group_costs(kept, "rule")
