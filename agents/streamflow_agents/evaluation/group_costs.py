"""What each group of the reward costs, from an evaluation's kept episodes, in tables that say which is the largest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from streamflow_agents.evaluation.comparison import by_return
from streamflow_agents.evaluation.episodes import TERM
from streamflow_agents.evaluation.kept_episodes import Episodes
from streamflow_env.environment.rewards import REWARD_GROUPS, REWARD_TERMS
from streamflow_env.errors import ConfigError


def group_costs(episodes: Episodes, policy: str, scenarios: slice | int = slice(None)) -> dict[str, float]:
    """What each group of `REWARD_GROUPS` costs a policy in an episode, on average over those scenarios.

    Together they are minus the return.

    Raises:
        ConfigError: what is kept has other terms than the reward.
    """
    kept = {name.removeprefix(TERM) for name in episodes.figures[policy] if name.startswith(TERM)}
    wrong = sorted(kept.symmetric_difference(REWARD_TERMS))
    if wrong:
        raise ConfigError(
            f"policy {policy!r}: its episodes have other terms than the reward ({', '.join(wrong)}); evaluate it anew"
        )
    return {
        group: sum(0.0 - float(episodes.of(policy, TERM + term, scenarios).mean()) for term in terms)
        for group, terms in REWARD_GROUPS.items()
    }


def cost_tables(episodes: Episodes, single: Sequence[str]) -> Iterator[str]:
    """The cost of each group for every policy, and for those of `single` scenario by scenario, in Markdown.

    Raises:
        ConfigError: a policy of `single` was not evaluated, or as `group_costs`.
    """
    for policy in single:
        if policy not in episodes.figures:
            raise ConfigError(f"policy {policy!r}: was not evaluated")
    yield "What an episode costs: minus its return, shared out among groups of terms. The largest group is bold."
    yield "; ".join(f"`{group}` is {', '.join(terms)}" for group, terms in REWARD_GROUPS.items()) + ".\n"
    every = {policy: group_costs(episodes, policy) for policy in by_return(episodes)}
    yield from _table(["policy"], [([episodes.called(policy)], costs) for policy, costs in every.items()])
    yield f"On average over all scenarios {_how_often(list(every.values()), 'policies')} Scenario by scenario:\n"
    each = [
        ([policy, scenario], group_costs(episodes, policy, index))
        for policy in single
        for index, scenario in enumerate(episodes.scenarios)
    ]
    yield from _table(["policy", "scenario"], each)
    yield f"Here {_how_often([costs for _, costs in each], 'rows')}\n"


def _table(heads: Sequence[str], rows: Sequence[tuple[Sequence[str], dict[str, float]]]) -> Iterator[str]:
    yield f"| {' | '.join([*heads, *REWARD_GROUPS, 'cost'])} |"
    yield "|---" * len(heads) + "|---:" * (len(REWARD_GROUPS) + 1) + "|"
    for names, costs in rows:
        largest = _largest(costs)
        cells = [f"**{cost:.1f}**" if group == largest else f"{cost:.1f}" for group, cost in costs.items()]
        yield f"| {' | '.join([*names, *cells, f'{sum(costs.values()):.1f}'])} |"
    yield ""


def _largest(costs: dict[str, float]) -> str:
    return max(costs, key=costs.__getitem__)


def _how_often(costs: Sequence[dict[str, float]], of: str) -> str:
    """Which groups are the largest, and in how many of the rows."""
    largest = [_largest(one) for one in costs]
    counts = {group: largest.count(group) for group in REWARD_GROUPS if group in largest}
    found = ", ".join(f"`{group}` in {count}" for group, count in counts.items())
    return f"the largest group is {found} of {len(costs)} {of}."
