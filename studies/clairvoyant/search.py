"""The yardstick: what a schedule could have won that knows one episode's load and all that can be foreseen of it.

No policy: an approximate upper bound, for one held-out episode at a time. CMA-ES searches offsets of some levers on top
of the actions of the best opponent, or of the best fixed setting of the scenario: first constant ones for the scenario,
on training episodes of it; then, from these on, for the single episode, at coarse points in time. It knows the load and
the incidents that are announced or have a precursor; those that come unannounced, and all luck of requests, are drawn
anew in each generation (`streamflow_env.scenarios.Foreseen`), so that it cannot fit one seed's. What is kept, the base
as it is or what a stage came to, is chosen on other draws, and scored on others still.
"""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from tqdm import tqdm

from streamflow_agents.evaluation.episodes import RETURN, run_episode
from streamflow_agents.policies.loading import load_policy
from streamflow_agents.policies.protocol import Policy
from streamflow_agents.seeds import evaluation_seeds
from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.errors import ConfigError
from streamflow_env.paths import config_path
from streamflow_env.scenarios import Foreseen, Timeline, load_scenario
from streamflow_env.system.schema import Count, Frozen, Positive, Text, load
from studies.common.policies import ConstantPolicy
from studies.interventions.results import read_results

BEST_FIXED: Final = "best_fixed"
INTERVENTIONS: Final = Path("docs/interventions")
"""The best setting that never changes, scenario by scenario, as `make interventions` found and kept it."""
STARTS: Final = "scenarios"
STAGES: Final = ("constant offsets for the scenario", "a schedule for the episode")
FIRST_SEARCH_SEED: Final = 400_000
FIRST_JUDGING_SEED: Final = 500_000
"""Training episodes of the scenarios' own searches."""
FIRST_LUCK: Final = 10_000_000
FIRST_JUDGING_LUCK: Final = 20_000_000
FIRST_SCORING_LUCK: Final = 30_000_000
"""Seeds of noise: of the search, of the choice at its end, and of the scores; no episode has any of them."""


class Stage(Frozen):
    """One search; `first_step` is its first standard deviation, of an axis of length 2."""

    population: Count
    generations: Count
    first_step: Positive


class YardstickPlan(Frozen):
    """What is optimised; configs/study/yardstick.yaml says what the numbers are."""

    bases: tuple[Text, ...] = Field(min_length=1)
    scenarios: tuple[Text, ...] = Field(min_length=1)
    episodes: Count
    levers: tuple[Text, ...] = Field(min_length=1)
    scenario: Stage
    episode: Stage
    segment_s: Positive
    judging: Count
    scoring: Count
    seed: int

    @property
    def wanted(self) -> list[tuple[str, int]]:
        """Every (scenario, episode seed)."""
        return [(scenario, seed) for seed in evaluation_seeds(self.episodes) for scenario in self.scenarios]

    @property
    def scoring_lucks(self) -> range:
        """The noise seeds on which everything is scored."""
        return range(FIRST_SCORING_LUCK, FIRST_SCORING_LUCK + self.scoring)


def load_yardstick_plan(name: str = "yardstick") -> YardstickPlan:
    """The plan of `configs/study/<name>.yaml`, or of the file `name`. Raises ConfigError."""
    return load(YardstickPlan, config_path("study", name))


class Scheduled:
    """A policy's actions with offsets added, linear in time between points `steps` control steps apart.

    `offsets` has shape (num_points, num_levers), in units of the action axis; `levers` are the actions' columns. Of a
    single point they are constant.
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
        before = min(int(at), max(0, len(self._offsets) - 2))
        after = min(before + 1, len(self._offsets) - 1)
        offset = self._offsets[before] + (at - before) * (self._offsets[after] - self._offsets[before])
        moved = np.array(action)
        moved[self._levers] = np.clip(moved[self._levers] + offset, -1.0, 1.0)
        return moved, (step + 1, own)


@dataclass(frozen=True)
class Found:
    """The yardstick of one episode.

    Attributes:
        base: the opponent that it acts on top of, the best there.
        segment_s, levers, offsets: the schedule, as in `Scheduled`; `offsets` has a row a point.
        gains: by stage and generation, what the search's middle returned more than the base on the same draws.
    """

    scenario: str
    seed: int
    base: str
    segment_s: float
    levers: tuple[str, ...]
    offsets: tuple[tuple[float, ...], ...]
    gains: tuple[tuple[float, ...], ...]

    def policy(self, env: StreamFlowEnv) -> Scheduled:
        """The schedule as a policy. Raises ConfigError for a lever that the system has not."""
        columns = columns_of(self.levers, env)
        steps = self.segment_s / env.system.control_interval_s
        return Scheduled(load_base(self.base, self.scenario, env), columns, np.array(self.offsets), steps)


def load_base(name: str, scenario: str, env: StreamFlowEnv) -> Policy:
    """What a schedule acts on top of: a policy, or `BEST_FIXED`. Raises ConfigError where it is not there."""
    if name != BEST_FIXED:
        return load_policy(name, env)
    _, found, _ = read_results(INTERVENTIONS)
    if scenario not in found.best:
        raise ConfigError(f"base {name!r}: {INTERVENTIONS} has none for scenario {scenario!r}")
    return ConstantPolicy(found.best[scenario])


def columns_of(levers: Sequence[str], env: StreamFlowEnv) -> NDArray[np.intp]:
    """Their places in an action. Raises ConfigError for one that is no control."""
    names = env.control_table.names
    for lever in levers:
        if lever not in names:
            raise ConfigError(f"lever {lever!r}: must be a control: {', '.join(names)}")
    return np.array([names.index(lever) for lever in levers], dtype=np.intp)


def foreseen(scenario: str, seed: int) -> StreamFlowEnv:
    """One held-out episode, its luck drawn by the episode seed. Raises ConfigError for a mixture."""
    timeline = load_scenario(scenario)
    if not isinstance(timeline, Timeline):
        raise ConfigError(f"scenario {scenario}: a mixture has no episode of its own; name its members")
    return StreamFlowEnv(Foreseen(name=timeline.name, timeline=timeline, of_seed=seed))


@dataclass(frozen=True)
class Start:
    """What a scenario came to: the opponent that is best in it, constant offsets, and their gains by generation."""

    base: str
    offsets: tuple[float, ...]
    gains: tuple[float, ...]


def optimise_scenario(plan: YardstickPlan, scenario: str) -> Start:
    """Search constant offsets on training episodes of the scenario, another in each generation."""
    env = StreamFlowEnv(scenario)
    columns = columns_of(plan.levers, env)
    judging = range(FIRST_JUDGING_SEED, FIRST_JUDGING_SEED + 2 * plan.judging)
    policies = {name: load_base(name, scenario, env) for name in plan.bases}
    base = max(plan.bases, key=lambda name: _mean_return(policies[name], env, judging))

    def scheduled(offsets: NDArray[np.float64]) -> Policy:
        return Scheduled(policies[base], columns, offsets.reshape(1, -1), 1.0)

    start = np.zeros(len(plan.levers))
    found, gains = _search(plan.scenario, start, scheduled, policies[base], env, FIRST_SEARCH_SEED, plan.seed)
    return Start(base, tuple(map(float, found)), gains)


def optimise(plan: YardstickPlan, scenario: str, seed: int, start: Start) -> Found:
    """Search one episode's schedule, from what its scenario came to."""
    env = foreseen(scenario, seed)
    assert isinstance(env.scenario, Foreseen)
    columns, base = columns_of(plan.levers, env), load_base(start.base, scenario, env)
    shape = int(np.ceil(env.scenario.horizon_s / plan.segment_s)) + 1, len(plan.levers)

    def scheduled(offsets: NDArray[np.float64]) -> Policy:
        return Scheduled(base, columns, offsets.reshape(shape), plan.segment_s / env.system.control_interval_s)

    constant = np.tile(np.array(start.offsets), shape[0])
    found, gains = _search(plan.episode, constant, scheduled, base, env, FIRST_LUCK, plan.seed)
    judging = range(FIRST_JUDGING_LUCK, FIRST_JUDGING_LUCK + plan.judging)
    kept = (np.zeros(found.shape), constant, found)
    best = max(kept, key=lambda offsets: _mean_return(scheduled(offsets), env, judging)).reshape(shape)
    rows = tuple(tuple(map(float, row)) for row in best)
    return Found(scenario, seed, start.base, plan.segment_s, plan.levers, rows, (start.gains, gains))


def _search(
    stage: Stage,
    start: NDArray[np.float64],
    scheduled: Callable[[NDArray[np.float64]], Policy],
    base: Policy,
    env: StreamFlowEnv,
    first_luck: int,
    seed: int,
) -> tuple[NDArray[np.float64], tuple[float, ...]]:
    """The middle of the last generation, and what the middle of each returned more than `base`.

    A generation meets one seed, the next another.
    """
    from cmaes import SepCMA

    bounds = np.tile([-2.0, 2.0], (len(start), 1))
    search = SepCMA(start, stage.first_step, bounds=bounds, population_size=stage.population, seed=seed + 1)
    gains = []
    for luck in range(first_luck, first_luck + stage.generations):
        asked = [search.ask() for _ in range(stage.population)]
        search.tell([(offsets, -_mean_return(scheduled(offsets), env, [luck])) for offsets in asked])
        middle = scheduled(np.array(search.mean))
        gains.append(_mean_return(middle, env, [luck]) - _mean_return(base, env, [luck]))
    return np.array(search.mean), tuple(gains)


def _mean_return(policy: Policy, env: StreamFlowEnv, seeds: Sequence[int]) -> float:
    return float(np.mean([run_episode(policy, env, seed)[RETURN] for seed in seeds]))


def study(plan: YardstickPlan, folder: Path, jobs: int, progress: bool) -> list[Found]:
    """Every episode of the plan; each is kept in `folder` as it is found, and not searched again."""
    (folder / STARTS).mkdir(parents=True, exist_ok=True)
    left = [(s, seed) for s, seed in plan.wanted if not _file(folder, s, seed).is_file()]
    for scenario, seed in left[:1]:
        columns_of(plan.levers, foreseen(scenario, seed))
    bar = tqdm(initial=len(plan.wanted) - len(left), total=len(plan.wanted), unit="episode", disable=not progress)
    with bar, ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        new = [s for s in dict.fromkeys(scenario for scenario, _ in left) if not _start_file(folder, s).is_file()]
        begun = {pool.submit(optimise_scenario, plan, scenario): scenario for scenario in new}
        for start in as_completed(begun):
            _write(_start_file(folder, begun[start]), start.result())
        searched = [
            pool.submit(optimise, plan, scenario, seed, _read_start(_start_file(folder, scenario)))
            for scenario, seed in left
        ]
        for one in as_completed(searched):
            found = one.result()
            _write(_file(folder, found.scenario, found.seed), found)
            bar.update()
    return read_found(folder)


def _write(path: Path, content: Found | Start) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(asdict(content)), encoding="utf-8")
    partial.replace(path)


def _read_start(path: Path) -> Start:
    try:
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return Start(str(kept["base"]), tuple(map(float, kept["offsets"])), tuple(map(float, kept["gains"])))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{path}: not what a scenario came to: {error!r}") from None


def _start_file(folder: Path, scenario: str) -> Path:
    return folder / STARTS / f"{Path(scenario).stem}.json"


def read_found(folder: Path) -> list[Found]:
    """What is kept in `folder`. Raises ConfigError for a file that is not one of these."""
    return [_read(path) for path in sorted(folder.glob("*.json"))]


def _read(path: Path) -> Found:
    try:
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        offsets = tuple(tuple(map(float, row)) for row in kept["offsets"])
        gains = tuple(tuple(map(float, stage)) for stage in kept["gains"])
        levers = tuple(map(str, kept["levers"]))
        if not offsets or any(len(row) != len(levers) for row in offsets):
            raise ValueError(f"offsets: must have rows of {len(levers)} numbers")
        return Found(
            str(kept["scenario"]),
            int(kept["seed"]),
            str(kept["base"]),
            float(kept["segment_s"]),
            levers,
            offsets,
            gains,
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{path}: not a kept yardstick: {error!r}") from None


def _file(folder: Path, scenario: str, seed: int) -> Path:
    return folder / f"{Path(scenario).stem}-{seed}.json"
