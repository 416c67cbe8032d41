"""How much there is to win: every policy, and the yardstick, on the yardstick's episodes under fresh luck.

A score is 0 at `ZERO` and 100 at the yardstick, scenario by scenario. What is kept has the form of an evaluation's
`episodes.csv`: a line an episode, each figure its mean over the noise seeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streamflow_agents.evaluation.episodes import RETURN, TERM, run_episode
from streamflow_agents.evaluation.kept_episodes import KEYS, Episodes
from streamflow_agents.evaluation.statistics import Estimate
from streamflow_agents.parallel import run_all
from streamflow_agents.policies.baselines import WITHOUT
from streamflow_agents.policies.loading import load_policy
from streamflow_agents.policies.protocol import Policy
from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.errors import ConfigError
from studies.clairvoyant.search import STAGES, Found, columns_of, foreseen

YARDSTICK: Final = "yardstick"
HELD: Final = "@"
"""`yardstick@LEVER` is the yardstick with that lever held where `HELD_AT` has it."""
HELD_AT: Final = "tuned_static"
ZERO: Final = "playbook_hpa"
FIXED: Final = "tuned_static"
ENDS: Final = 2.0
"""Where the best rules are this near to the yardstick, they are at it."""
ENOUGH: Final = 60.0
"""Where the tuned fixed setting scores more than this, reacting hardly pays."""
PART_OF_THE_REST: Final = 1 / 3
"""Of what the yardstick leaves over the best rules, what learning must win; its foresight is not to be had."""
Row = dict[str, Any]


class Held:
    """A policy's actions, but for `levers`, which stay at `values`."""

    def __init__(self, base: Policy, levers: NDArray[np.intp], values: NDArray[np.float32]) -> None:
        self._base = base
        self._levers = levers
        self._values = values

    def predict(
        self,
        observation: NDArray[np.float32],
        state: Any = None,
        episode_start: NDArray[Any] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[Any], Any]:
        """As the base policy does, of one observation."""
        action, state = self._base.predict(observation, state, episode_start, deterministic)
        held = np.array(action)
        held[self._levers] = self._values
        return held, state


@dataclass(frozen=True)
class Task:
    """One policy in one episode; with `schedule` it is the yardstick, `held` the lever that it must not move."""

    label: str
    source: str
    scenario: str
    seed: int
    lucks: tuple[int, ...]
    schedule: Found | None = None
    held: str = ""


def tasks(
    found: Sequence[Found], policies: Mapping[str, str], levers: Sequence[str], lucks: Sequence[int]
) -> list[Task]:
    """Policies (label -> name or path), the yardstick, and the yardstick with single levers held."""
    work = []
    for one in found:
        work += [Task(label, source, one.scenario, one.seed, tuple(lucks)) for label, source in policies.items()]
        for held in ("", *levers):
            label = YARDSTICK + (HELD + held if held else "")
            work.append(Task(label, YARDSTICK, one.scenario, one.seed, tuple(lucks), one, held))
    return work


def measure(work: Sequence[Task], jobs: int, progress: bool) -> list[Row]:
    """A line a task. Raises ConfigError for a policy that there is not."""
    return run_all(play, work, jobs, progress)


def play(task: Task) -> Row:
    """One task's line."""
    env = foreseen(task.scenario, task.seed)
    policy = _policy(task, env)
    episodes = [run_episode(policy, env, luck) for luck in task.lucks]
    means = {name: float(np.mean([episode[name] for episode in episodes])) for name in _kept(episodes[0])}
    return {**dict(zip(KEYS, (task.label, task.scenario, task.seed), strict=True)), **means}


def _kept(figures: Mapping[str, float]) -> list[str]:
    return [name for name in figures if name == RETURN or name.startswith(TERM)]


def _policy(task: Task, env: StreamFlowEnv) -> Policy:
    policy: Policy = task.schedule.policy(env) if task.schedule else load_policy(task.source, env)
    if not task.held:
        return policy
    fixed, _ = load_policy(HELD_AT, env).predict(np.zeros(len(env.observation_table.fields), np.float32))
    columns = columns_of([task.held], env)
    return Held(policy, columns, np.asarray(fixed)[columns])


def score(episodes: Episodes, policy: str, index: int) -> Estimate:
    """Of one scenario, with the bootstrap interval of the policy's difference from `ZERO`, paired by episode.

    NaN where the yardstick won nothing over `ZERO`.
    """
    whole = episodes.difference(YARDSTICK, ZERO, index).value
    if whole <= 0:
        return Estimate(float("nan"), float("nan"), float("nan"))
    won = episodes.difference(policy, ZERO, index)
    return Estimate(*(100.0 * value / whole for value in (won.value, won.low, won.high)))


def mean_score(episodes: Episodes, policy: str) -> float:
    """Over the scenarios in which there is a score; NaN where there is none."""
    scores = np.array([score(episodes, policy, index).value for index in range(len(episodes.scenarios))])
    return float(np.mean(scores[np.isfinite(scores)])) if np.isfinite(scores).any() else float("nan")


def whole_policies(episodes: Episodes) -> list[str]:
    """The policies, and the yardstick, without those that lack a part or have a lever held."""
    return [name for name in episodes.figures if HELD not in name and WITHOUT not in name]


def rules_of(episodes: Episodes) -> list[str]:
    """The policies that are neither the yardstick nor several runs of a learner."""
    return [name for name in whole_policies(episodes) if name != YARDSTICK and episodes.num_runs(name) == 1]


def target(episodes: Episodes) -> tuple[str, float, float]:
    """The best of the rules, its mean score, and the mean score that learning must reach."""
    best = max(rules_of(episodes), key=lambda name: mean_score(episodes, name))
    reached = mean_score(episodes, best)
    return best, reached, reached + PART_OF_THE_REST * (100.0 - reached)


def section(episodes: Episodes, found: Sequence[Found], picture: str) -> Iterator[str]:
    """Yardstick, scores, go or no-go, target, and where the headroom lies, in Markdown.

    Raises:
        ConfigError: the yardstick or `ZERO` was not measured.
    """
    for needed in (ZERO, YARDSTICK, FIXED):
        if needed not in episodes.figures:
            raise ConfigError(f"policy {needed!r}: was not measured; run the headroom study with it")
    yield "## The yardstick, and how much there is to win\n"
    yield f"For {len(episodes.seeds)} held-out episodes a scenario a schedule was searched that knows the load and what"
    yield "can be foreseen: no policy, but an approximate upper bound. It acts on top of what is best in the scenario"
    yield f"({_bases(found)} episodes; `best_fixed` is the scenario's own fixed setting, of"
    yield "[interventions.md](interventions.md)). Everything here was scored on the same fresh luck."
    yield f"A score is 0 at `{ZERO}` and 100 at the yardstick, in brackets its 95 % interval over the episodes.\n"
    shown = sorted(whole_policies(episodes), key=lambda p: -mean_score(episodes, p))
    yield f"| score | {' | '.join(episodes.scenarios)} | mean |"
    yield "|---" + "|---:" * (len(episodes.scenarios) + 1) + "|"
    for name in shown:
        cells = [_score(score(episodes, name, index)) for index in range(len(episodes.scenarios))]
        yield f"| {episodes.called(name)} | {' | '.join(cells)} | {mean_score(episodes, name):.0f} |"
    yield ""
    yield f"| return | {' | '.join(episodes.scenarios)} | mean |"
    yield "|---" + "|---:" * (len(episodes.scenarios) + 1) + "|"
    for name in shown:
        means = episodes.figures[name][RETURN].mean(axis=(0, 2))
        yield f"| {episodes.called(name)} | {' | '.join(f'{m:.1f}' for m in means)} | {means.mean():.1f} |"
    yield ""
    yield from _decision(episodes)
    yield f"![Convergence of the yardstick]({picture})\n"
    yield from _convergence(found)
    yield from _by_term(episodes)
    yield from _by_lever(episodes)


def _score(found: Estimate) -> str:
    if np.isnan(found.value):
        return "–"
    return f"{found.value:.0f} [{found.low:.0f}, {found.high:.0f}]" if found.value else "0"


def _bases(found: Sequence[Found]) -> str:
    names = [one.base for one in found]
    return ", ".join(f"`{name}` in {names.count(name)}" for name in sorted(set(names), key=names.count, reverse=True))


def _decision(episodes: Episodes) -> Iterator[str]:
    fixed = [score(episodes, FIXED, index).value for index in range(len(episodes.scenarios))]
    above = [name for name, value in zip(episodes.scenarios, fixed, strict=True) if not value <= ENOUGH]
    go = 3 * len(above) <= len(fixed)
    yield f"**{'Go' if go else 'No go'}.** The tuned fixed setting scores above {ENOUGH:.0f} in {len(above)} of"
    yield f"{len(fixed)} scenarios ({', '.join(above) or 'none'}); in more than a third, reacting would hardly pay."
    best, reached, wanted = target(episodes)
    yield f"**The target for learning.** The best rules, `{best}`, score {reached:.0f} on average. A learner has to"
    yield f"reach **{wanted:.0f}**, a third of the way from there to the yardstick, on average over 5 training seeds,"
    yield f"and to be *better* than `{best}` on the held-out episodes of all scenarios.\n"
    at_it = [name for index, name in enumerate(episodes.scenarios) if score(episodes, best, index).value >= 100 - ENDS]
    if at_it:
        yield f"In {', '.join(at_it)} the search found nothing above `{best}`: 100 there is what rules reach already.\n"


def _convergence(found: Sequence[Found]) -> Iterator[str]:
    """What the searches' last generations won, and what their last quarters still added: medians, for a collapse."""
    for number in range(len(found[0].gains)):
        gains = np.array([one.gains[number] for one in found])
        quarter = max(1, gains.shape[1] // 4)
        last, before = gains[:, -quarter:].mean(axis=1), gains[:, -2 * quarter : -quarter].mean(axis=1)
        yield f"{STAGES[number].capitalize()}: in the last quarter of its generations a search's middle returned"
        yield f"{np.median(last):+.1f} against the rules below it, {np.median(last - before):+.2f} against the quarter"
        yield "before."
    yield "(Medians of the searches: a generation is one draw of luck, and a middle that collapsed in it is a dip in"
    yield "the picture. What is kept, the rules as they are or what a stage came to, was chosen on other luck.)\n"


def _by_term(episodes: Episodes) -> Iterator[str]:
    best, _, _ = target(episodes)
    terms = [name for name in episodes.figures[YARDSTICK] if name.startswith(TERM)]
    yield f"### By term of the reward\n\nWhat the yardstick returns more than `{best}`, on average over the episodes.\n"
    yield f"| scenario | {' | '.join(name.removeprefix(TERM) for name in terms)} | return |"
    yield "|---" + "|---:" * (len(terms) + 1) + "|"
    for index, scenario in enumerate(episodes.scenarios):
        more = [
            float(np.mean(episodes.of(YARDSTICK, name, index) - episodes.of(best, name, index)))
            for name in (*terms, RETURN)
        ]
        yield f"| {scenario} | {' | '.join(f'{value:+.1f}' for value in more)} |"
    yield ""


def _by_lever(episodes: Episodes) -> Iterator[str]:
    held = [name for name in episodes.figures if name.startswith(YARDSTICK + HELD)]
    if not held:
        return
    yield f"### By lever\n\nWhat the yardstick returns less where one lever stays at its place in `{HELD_AT}`.\n"
    yield f"| held | {' | '.join(episodes.scenarios)} | mean |"
    yield "|---" + "|---:" * (len(episodes.scenarios) + 1) + "|"
    whole = episodes.figures[YARDSTICK][RETURN]
    lost = {name: (episodes.figures[name][RETURN] - whole).mean(axis=(0, 2)) for name in held}
    for name in sorted(held, key=lambda name: float(lost[name].mean())):
        cells = [f"{value:+.1f}" for value in (*lost[name], lost[name].mean())]
        yield f"| `{name.removeprefix(YARDSTICK + HELD)}` | {' | '.join(cells)} |"
    yield ""
