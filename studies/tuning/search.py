"""Tuned forms of the fixed setting and of the expert: their numbers searched on training seeds by CMA-ES.

A candidate is judged by its mean return over one episode of every scenario. All candidates of a generation meet the
same episodes, the next generation meets others: what is lucky once is not lucky twice. In the end the best of the
generations are judged again, on several seeds each that the search has not seen, and the best of these is the result.
Everything is kept in an Optuna study beside the result, so that a search that was killed goes on where it was.
"""

from __future__ import annotations

import copy
import multiprocessing
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml
from pydantic import Field
from tqdm import tqdm

from streamflow_agents.evaluation.episodes import RETURN, run_episode
from streamflow_agents.policies.baselines import StaticBaseline
from streamflow_agents.policies.baselines.baseline import Baseline
from streamflow_agents.policies.baselines.expert import ExpertSettings, make_expert
from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.errors import ConfigError
from streamflow_env.paths import config_path
from streamflow_env.system.schema import Count, Flag, Frozen, Number, Positive, Text, load, read_yaml

STATIC: Final = "static"
EXPERT: Final = "expert"
FORMS: Final = (STATIC, EXPERT)
FIRST_JUDGING_SEED: Final = 300_000
"""Above a plan's own seeds, below the held-out ones of `streamflow_agents.seeds`."""
Values = dict[str, float]


class Range(Frozen):
    """The range of one number; `log`: searched on a logarithmic axis. A unit is a place on the axis, from 0 to 1."""

    low: Number | int
    high: Number | int
    log: Flag = False

    def value(self, unit: float) -> float:
        """The number at a place."""
        if self.log:
            return float(self.low * (self.high / self.low) ** unit)
        return float(self.low + (self.high - self.low) * unit)

    def unit(self, value: float) -> float:
        """The place of a number."""
        if self.log:
            return float(np.log(value / self.low) / np.log(self.high / self.low))
        return float((value - self.low) / (self.high - self.low))


class TuningPlan(Frozen):
    """What is searched: `expert` by the path of a number in the expert's file, a rule by its name.

    `start` is the baseline's file in which each form begins; a control that it does not name begins as found.
    """

    scenarios: tuple[Text, ...] = Field(min_length=1)
    start: dict[Text, Text]
    first_seed: Count
    num_steps: Count
    population: Count
    first_step: Positive
    finalists: Count
    judging_seeds: Count
    seed: int
    expert: dict[Text, Range] = Field(min_length=1)


def load_tuning_plan(name: str = "tuning") -> TuningPlan:
    """The plan of `configs/study/<name>.yaml`, or of the file `name`. Raises ConfigError."""
    return load(TuningPlan, config_path("study", name))


class Form:
    """What is tuned: how numbers become settings, a policy, and a file."""

    def __init__(self, name: str, plan: TuningPlan) -> None:
        if name not in FORMS:
            raise ConfigError(f"form {name!r}: must be one of {', '.join(FORMS)}")
        self.name = name
        if name not in plan.start:
            raise ConfigError(f"start.{name}: is missing; must be a name of configs/baselines, or a YAML file")
        self._base: dict[str, Any] = read_yaml(config_path("baselines", plan.start[name]))
        self._env = StreamFlowEnv(plan.scenarios[0])
        if name == EXPERT:
            controls = self._env.system.control_table
            default = dict(zip(controls.names, map(float, controls.default), strict=True))
            self._base["settings"] = {
                **{control: value for control, value in default.items() if f"settings/{control}" in plan.expert},
                **self._base["settings"],
            }
            self.ranges = dict(plan.expert)
            self.start = {path: float(_get(self._base, path)) for path in plan.expert}
        else:
            table = self._env.system.control_table
            start = table.action(table.with_values(**self._base["settings"]))
            self.ranges = dict.fromkeys(table.names, Range(low=-1.0, high=1.0))
            self.start = dict(zip(table.names, map(float, start), strict=True))
        for path, value in self.start.items():
            if not self.ranges[path].low <= value <= self.ranges[path].high:
                raise ConfigError(f"expert.{path}: starts at {value}, outside {self.ranges[path]}")

    def values(self, units: Mapping[str, float]) -> Values:
        """The numbers at places on their axes."""
        return {path: r.value(units[path]) for path, r in self.ranges.items()}

    def settings(self, values: Mapping[str, float]) -> dict[str, Any]:
        """The content of the baseline's file."""
        if self.name == EXPERT:
            content = copy.deepcopy(self._base)
            for path, value in values.items():
                _put(content, path, float(f"{value:.4g}"))
            return dict(content)
        table = self._env.system.control_table
        natural = table.natural(np.array([values[name] for name in table.names], dtype=np.float32))
        return {"settings": {name: float(f"{v:.6g}") for name, v in zip(table.names, natural, strict=True)}}

    def policy(self, values: Mapping[str, float]) -> Baseline[Any]:
        """The policy of these numbers."""
        content, env = self.settings(values), self._env
        if self.name == EXPERT:
            return make_expert(env.system, env.observation_table, load(ExpertSettings, content))
        return StaticBaseline(env.system, env.observation_table, content["settings"])


def _rule_or_key(content: Any, key: str) -> Any:
    if isinstance(content, list):
        found = [item for item in content if item.get("name", item.get("reading")) == key]
        if len(found) != 1:
            raise ConfigError(f"{key!r}: there must be one item of this name, there are {len(found)}")
        return found[0]
    if not isinstance(content, dict) or key not in content:
        raise ConfigError(f"{key!r}: no such key in the expert's file")
    return content[key]


def _get(content: Any, path: str) -> Any:
    """What lies at `a/b/c`; an item of a list goes by its name, or its reading."""
    for key in path.split("/"):
        content = _rule_or_key(content, key)
    return content


def _put(content: Any, path: str, value: float) -> None:
    *above, last = path.split("/")
    for key in above:
        content = _rule_or_key(content, key)
    _rule_or_key(content, last)
    content[last] = value


Judge = Callable[[Sequence[Values], Sequence[int]], list[float]]
"""(candidates, seeds) to the mean return of each over every scenario and seed."""


def tune(name: str, plan: TuningPlan, folder: Path, jobs: int = 1, progress: bool = False) -> Path:
    """Search the form `name`, and write `tuned_<name>.yaml` into `folder`; the file.

    A study of the same name there is continued. Raises ConfigError for a wrong plan.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    form = Form(name, plan)
    folder.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():  # Optuna 5 warns that 6 will have no x0; the pin is below 6
        warnings.simplefilter("ignore", FutureWarning)
        x0 = {path: r.unit(form.start[path]) for path, r in form.ranges.items()}
        sampler = optuna.samplers.CmaEsSampler(x0=x0, sigma0=plan.first_step, seed=plan.seed, popsize=plan.population)
    storage = f"sqlite:///{folder / f'{name}.db'}"
    study = optuna.create_study(
        storage=storage, study_name=name, load_if_exists=True, direction="maximize", sampler=sampler
    )
    axes: dict[str, optuna.distributions.BaseDistribution] = {
        path: optuna.distributions.FloatDistribution(0.0, 1.0) for path in form.ranges
    }
    steps_an_episode = _steps_an_episode(plan)
    generations = plan.num_steps // (plan.population * len(plan.scenarios) * steps_an_episode)
    done = sum(trial.state.is_finished() for trial in study.trials) // plan.population
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _open, (name, plan)) as pool:

        def judge(candidates: Sequence[Values], seeds: Sequence[int]) -> list[float]:
            tasks = [(values, scenario, seed) for values in candidates for scenario in plan.scenarios for seed in seeds]
            returns = np.array(list(pool.map(_run_here, tasks, chunksize=1)))
            return [float(mean) for mean in returns.reshape(len(candidates), -1).mean(axis=1)]

        bar = tqdm(total=generations, initial=done, unit="generation", disable=not progress, dynamic_ncols=True)
        for generation in range(done, generations):
            trials = [study.ask(axes) for _ in range(plan.population)]
            found = judge([form.values(trial.params) for trial in trials], [plan.first_seed + generation])
            for trial, value in zip(trials, found, strict=True):
                study.tell(trial, value)
            bar.update()
            bar.set_postfix_str(f"best {study.best_value:.1f}, median {float(np.median(found)):.1f}")
        bar.close()
        values, scores = _finals(study, form, plan, judge)
    path = folder / f"tuned_{name}.yaml"
    head = (
        f"# Written by `scripts/tune.py {name}`: {len(study.trials)} candidates in {generations} generations, seed"
        f" {plan.seed}.\n# Mean return over {len(plan.scenarios)} scenarios, {plan.judging_seeds} judging seeds each:"
        f" {scores[0]:.2f}; where the search began: {scores[1]:.2f}.\n\n"
    )
    path.write_text(head + yaml.safe_dump(form.settings(values), sort_keys=False, width=120), encoding="utf-8")
    return path


def _finals(study: Any, form: Form, plan: TuningPlan, judge: Judge) -> tuple[Values, tuple[float, float]]:
    """The best of the last generations and of all, and where the search began, on seeds it has not seen."""
    finished = [trial for trial in study.trials if trial.state.is_finished()]
    last = finished[-plan.population * 4 :]
    best = sorted(last, key=lambda trial: -trial.value)[: plan.finalists]
    middle = {path: float(np.mean([trial.params[path] for trial in last])) for path in form.ranges}
    candidates = [dict(form.start), form.values(middle), *(form.values(trial.params) for trial in best)]
    seeds = [FIRST_JUDGING_SEED + index for index in range(plan.judging_seeds)]
    scores = judge(candidates, seeds)
    winner = int(np.argmax(scores))
    return candidates[winner], (scores[winner], scores[0])


def _steps_an_episode(plan: TuningPlan) -> int:
    """Control steps of an episode, on average over the scenarios."""
    steps = []
    for name in plan.scenarios:
        env = StreamFlowEnv(name)
        env.reset(options={"episode_seed": FIRST_JUDGING_SEED})
        steps.append(env.episode.horizon_s / env.system.control_interval_s)
    return round(float(np.mean(steps)))


_OPEN: list[tuple[Form, dict[str, StreamFlowEnv]]] = []
"""What a worker process has: the form, and an environment of every scenario."""


def _open(name: str, plan: TuningPlan) -> None:
    _OPEN.append((Form(name, plan), {scenario: StreamFlowEnv(scenario) for scenario in plan.scenarios}))


def _run_here(task: tuple[Values, str, int]) -> float:
    values, scenario, seed = task
    form, envs = _OPEN[-1]
    return run_episode(form.policy(values), envs[scenario], seed)[RETURN]
