"""The yardstick: what a schedule could have won that knows one episode's load and all that can be foreseen of it.

No policy: an approximate upper bound, for one held-out episode at a time. CMA-ES searches offsets of some levers, at
coarse points in time, on top of the best opponent's own actions. It knows the load and the incidents that are announced
or have a precursor; those that come unannounced, and all luck of requests, are drawn anew in each generation
(`streamflow_env.scenarios.Foreseen`), so that it cannot fit one seed's. It is scored on fresh draws.
"""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from tqdm import tqdm

from agents.evaluation import RETURN, run_episode
from agents.policies import Policy, load_policy
from agents.seeds import evaluation_seeds
from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.errors import ConfigError
from streamflow_env.paths import config_path
from streamflow_env.scenarios import Foreseen, Timeline, load_scenario
from streamflow_env.system.schema import Count, Frozen, Positive, Text, load

FIRST_LUCK: Final = 10_000_000
FIRST_SCORING_LUCK: Final = 20_000_000
"""Seeds of noise: those of the search, and those of the scores; no episode has either."""


class YardstickPlan(Frozen):
    """What is optimised; configs/study/yardstick.yaml says what the numbers are."""

    base: Text
    scenarios: tuple[Text, ...] = Field(min_length=1)
    episodes: Count
    segment_s: Positive
    levers: tuple[Text, ...] = Field(min_length=1)
    first_step: Positive
    population: Count
    generations: Count
    luck: Count
    scoring: Count
    seed: int


def load_yardstick_plan(name: str = "yardstick") -> YardstickPlan:
    """The plan of `configs/study/<name>.yaml`, or of the file `name`. Raises ConfigError."""
    return load(YardstickPlan, config_path("study", name))


class Scheduled:
    """A policy's actions with offsets added, linear in time between points `segment_s` apart.

    `offsets` has shape (num_points, num_levers), in units of the action axis; `levers` are the actions' columns.
    """

    def __init__(self, base: Policy, levers: NDArray[np.intp], offsets: NDArray[np.float64], steps: float) -> None:
        self._base = base
        self._levers = levers
        self._offsets = offsets
        self._steps = steps

    def predict(
        self,
        observation: NDArray[np.float32],
        state: Any = None,
        episode_start: NDArray[Any] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[Any], Any]:
        """As the base policy does, of one observation; the state is the number of the step and the base's own."""
        step, own = state or (0, None)
        action, own = self._base.predict(observation, own, episode_start, deterministic)
        at = min(step / self._steps, len(self._offsets) - 1.0)
        before = min(int(at), len(self._offsets) - 2) if len(self._offsets) > 1 else 0
        after = min(before + 1, len(self._offsets) - 1)
        offset = self._offsets[before] + (at - before) * (self._offsets[after] - self._offsets[before])
        moved = np.array(action)
        moved[self._levers] = np.clip(moved[self._levers] + offset, -1.0, 1.0)
        return moved, (step + 1, own)


@dataclass(frozen=True)
class Found:
    """The yardstick of one episode: the search's best mean by generation, and the returns on fresh noise."""

    scenario: str
    seed: int
    convergence: tuple[float, ...]
    yardstick: tuple[float, ...]
    opponents: dict[str, tuple[float, ...]]


class Bench:
    """One episode, its noise drawn at will."""

    def __init__(self, plan: YardstickPlan, scenario: str, seed: int) -> None:
        timeline = load_scenario(scenario)
        if not isinstance(timeline, Timeline):
            raise ConfigError(f"scenario {scenario}: a mixture has no episode of its own; name its members")
        self.env = StreamFlowEnv(Foreseen(name=scenario, timeline=timeline, of_seed=seed))
        self.plan = plan
        names = self.env.control_table.names
        for lever in plan.levers:
            if lever not in names:
                raise ConfigError(f"lever {lever!r}: must be a control: {', '.join(names)}")
        self._levers = np.array([names.index(lever) for lever in plan.levers], dtype=np.intp)
        self._steps = plan.segment_s / self.env.system.control_interval_s
        self.shape = int(np.ceil(timeline.horizon_s / plan.segment_s)) + 1, len(plan.levers)
        self._policies = {plan.base: load_policy(plan.base, self.env)}

    def play(self, offsets: NDArray[np.float64], luck: int) -> float:
        """The return under the base policy with `offsets`."""
        policy = Scheduled(self._policies[self.plan.base], self._levers, offsets.reshape(self.shape), self._steps)
        return run_episode(policy, self.env, luck)[RETURN]

    def opponent(self, name: str, luck: int) -> float:
        """The return under a policy as it is."""
        if name not in self._policies:
            self._policies[name] = load_policy(name, self.env)
        return run_episode(self._policies[name], self.env, luck)[RETURN]


def optimise(plan: YardstickPlan, scenario: str, seed: int, opponents: tuple[str, ...]) -> Found:
    """Search one episode's schedule, and score it and the opponents on the same fresh noise."""
    from cmaes import CMA

    bench = Bench(plan, scenario, seed)
    size = int(np.prod(bench.shape))
    search = CMA(np.zeros(size), plan.first_step, population_size=plan.population, seed=plan.seed + 1)
    convergence = []
    for generation in range(plan.generations):
        lucks = range(FIRST_LUCK + plan.luck * generation, FIRST_LUCK + plan.luck * (generation + 1))
        asked = [search.ask() for _ in range(plan.population)]
        if generation == 0:
            asked[0] = np.zeros(size)
        values = [float(np.mean([bench.play(offsets, luck) for luck in lucks])) for offsets in asked]
        search.tell([(offsets, -value) for offsets, value in zip(asked, values, strict=True)])
        convergence.append(float(np.mean(values)))
    scoring = range(FIRST_SCORING_LUCK, FIRST_SCORING_LUCK + plan.scoring)
    best = np.array(search.mean)
    return Found(
        scenario,
        seed,
        tuple(convergence),
        tuple(bench.play(best, luck) for luck in scoring),
        {name: tuple(bench.opponent(name, luck) for luck in scoring) for name in opponents},
    )


def study(plan: YardstickPlan, opponents: tuple[str, ...], folder: Path, jobs: int, progress: bool) -> list[Found]:
    """Every episode of the plan; each is kept in `folder` as it is found, and not searched again."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [(s, seed) for seed in evaluation_seeds(plan.episodes) for s in plan.scenarios]
    left = [(s, seed) for s, seed in wanted if not _file(folder, s, seed).is_file()]
    for scenario, seed in left[:1]:
        Bench(plan, scenario, seed)
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        futures = [pool.submit(optimise, plan, s, seed, opponents) for s, seed in left]
        bar = tqdm(futures, initial=len(wanted) - len(left), total=len(wanted), unit="episode", disable=not progress)
        for future in bar:
            found = future.result()
            path = _file(folder, found.scenario, found.seed)
            partial = path.with_suffix(".partial")
            partial.write_text(json.dumps(asdict(found)), encoding="utf-8")
            partial.replace(path)
    return list(read_found(folder))


def read_found(folder: Path) -> Iterator[Found]:
    """What is kept in `folder`. Raises ConfigError for a file that is not one of these."""
    for path in sorted(folder.glob("*.json")):
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            opponents = {name: tuple(returns) for name, returns in kept["opponents"].items()}
            convergence, yardstick = tuple(kept["convergence"]), tuple(kept["yardstick"])
            yield Found(kept["scenario"], kept["seed"], convergence, yardstick, opponents)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"{path}: not a kept yardstick: {error}") from None


def _file(folder: Path, scenario: str, seed: int) -> Path:
    return folder / f"{Path(scenario).stem}-{seed}.json"


def score(value: float, zero: float, hundred: float) -> float:
    """0 where `value` is `zero`, 100 where it is `hundred`; NaN where these are alike."""
    return 100.0 * (value - zero) / (hundred - zero) if hundred != zero else float("nan")


def section(kept: list[Found], zero: str) -> Iterator[str]:
    """The yardstick and the scores beside it, in Markdown."""
    opponents = list(kept[0].opponents)
    yield "## The yardstick\n"
    yield "For single held-out episodes, a schedule that knows the load and what can be foreseen, searched on top of"
    yield "the best opponent and scored with it on the same fresh noise: no policy, but an approximate upper bound. A"
    yield f"score is 0 at `{zero}` and 100 at the yardstick, the best of what was searched and of the opponents.\n"
    heads = ["scenario", "episodes", "yardstick", *opponents, *(f"score of {name}" for name in opponents)]
    yield f"| {' | '.join(heads)} |"
    yield "|---" + "|---:" * (len(heads) - 1) + "|"
    for scenario in dict.fromkeys(found.scenario for found in kept):
        mine = [found for found in kept if found.scenario == scenario]
        means = {name: float(np.mean([found.opponents[name] for found in mine])) for name in opponents}
        best = float(np.mean([_hundred(found) for found in mine]))
        scores = [f"{score(means[name], means[zero], best):.0f}" for name in opponents]
        yield (
            f"| {scenario} | {len(mine)} | {best:.1f} | "
            + " | ".join([*(f"{means[name]:.1f}" for name in opponents), *scores])
            + " |"
        )
    yield ""
    won = [found.convergence[-1] - found.convergence[0] for found in kept]
    late = [found.convergence[-1] - found.convergence[-max(2, len(found.convergence) // 4)] for found in kept]
    yield f"Convergence: the generations' mean return rose by {np.mean(won):.1f} over the search, of which"
    yield f"{np.mean(late):.1f} in its last quarter.\n"


def _hundred(found: Found) -> float:
    return max(float(np.mean(found.yardstick)), *(float(np.mean(returns)) for returns in found.opponents.values()))
