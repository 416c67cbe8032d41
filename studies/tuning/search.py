"""Tune the fixed setting or the expert: CMA-ES searches their numbers on the seeds of `TUNING`.

A candidate is judged by its mean return over one episode of every scenario. All candidates of a generation meet the
same episodes, and the next generation meets others. So a candidate that is lucky once is not lucky again. At the end
the best candidates are judged again on several seeds of `JUDGING`, and the best of these is the result. The search is
kept in an Optuna study beside the result, so that a search that was killed goes on.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode
from tqdm import tqdm

from streamflow_agents.parallel import Workers
from streamflow_agents.seeds import JUDGING, TUNING
from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.environment.vector_env import StreamFlowVectorEnv
from streamflow_env.system.yaml_files import dump_yaml
from studies.tuning.form import Form, TuningPlan, Values

Judge = Callable[[Sequence[Values], Sequence[int]], list[float]]
"""(candidates, seeds) -> the mean return of each candidate over every scenario and seed."""


def tune(name: str, plan: TuningPlan, folder: Path, jobs: int = 1, progress: bool = False) -> Path:
    """Search the form `name`, and write the plan's result into `folder`; returns the path of the file.

    A search of the same form that is kept there goes on. Raises ConfigError: a wrong plan.
    """
    import optuna

    form = Form(name, plan)
    folder.mkdir(parents=True, exist_ok=True)
    study = _open_study(form, plan, folder)
    axes: dict[str, optuna.distributions.BaseDistribution] = {
        path: optuna.distributions.FloatDistribution(0.0, 1.0) for path in form.ranges
    }
    steps_an_episode = _steps_an_episode(plan)
    generations = plan.num_steps // (plan.population * len(plan.scenarios) * steps_an_episode)
    done = sum(trial.state.is_finished() for trial in study.trials) // plan.population
    with Workers(jobs, _open, name, plan) as workers:

        def judge(candidates: Sequence[Values], seeds: Sequence[int]) -> list[float]:
            work = [(list(candidates), scenario, seed) for scenario in plan.scenarios for seed in seeds]
            returns = np.ascontiguousarray(np.array(workers.run(_run_here, work)).T)
            return [float(mean) for mean in returns.mean(axis=1)]

        bar = tqdm(total=generations, initial=done, unit="generation", disable=not progress, dynamic_ncols=True)
        for generation in range(done, generations):
            trials = [study.ask(axes) for _ in range(plan.population)]
            seeds = TUNING.seeds(1, skip=plan.skip_seeds + generation)
            found = judge([form.values(trial.params) for trial in trials], seeds)
            for trial, value in zip(trials, found, strict=True):
                study.tell(trial, value)
            bar.update()
            bar.set_postfix_str(f"best {study.best_value:.1f}, median {float(np.median(found)):.1f}")
        bar.close()
        values, scores = _finals(study, form, plan, judge)
    path = folder / f"{plan.result(name)}.yaml"
    head = (
        f"# Written by `scripts/tune.py --form {name} --level {plan.level}`: {len(study.trials)} candidates in"
        f" {generations} generations, seed {plan.seed}.\n"
        f"# Mean return over {len(plan.scenarios)} scenarios, {plan.judging_seeds} judging seeds each: {scores[0]:.2f};"
        f" where the search began: {scores[1]:.2f}.\n\n"
    )
    path.write_text(head + dump_yaml(form.settings(values)), encoding="utf-8")
    return path


def _open_study(form: Form, plan: TuningPlan, folder: Path) -> Any:
    """The form's Optuna study in `folder`, new or as it was kept."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():  # Optuna 5 warns that 6 will have no x0; the pin is below 6
        warnings.simplefilter("ignore", FutureWarning)
        x0 = {path: r.unit(form.start[path]) for path, r in form.ranges.items()}
        sampler = optuna.samplers.CmaEsSampler(x0=x0, sigma0=plan.first_step, seed=plan.seed, popsize=plan.population)
    storage = f"sqlite:///{folder / f'{form.name}.db'}"
    return optuna.create_study(
        storage=storage, study_name=form.name, load_if_exists=True, direction="maximize", sampler=sampler
    )


def _finals(study: Any, form: Form, plan: TuningPlan, judge: Judge) -> tuple[Values, tuple[float, float]]:
    """The best candidate on seeds that the search has not seen, its score, and the score of the start.

    The candidates are the start, the mean of the last four generations, and the best of them.
    """
    finished = [trial for trial in study.trials if trial.state.is_finished()]
    last = finished[-plan.population * 4 :]
    best = sorted(last, key=lambda trial: -trial.value)[: plan.finalists]
    middle = {path: float(np.mean([trial.params[path] for trial in last])) for path in form.ranges}
    candidates = [dict(form.start), form.values(middle), *(form.values(trial.params) for trial in best)]
    scores = judge(candidates, JUDGING.seeds(plan.judging_seeds))
    winner = int(np.argmax(scores))
    return candidates[winner], (scores[winner], scores[0])


def _steps_an_episode(plan: TuningPlan) -> int:
    """Control steps of an episode, on average over the scenarios."""
    steps = []
    for name in plan.scenarios:
        env = StreamFlowEnv(name)
        env.reset(options={"episode_seed": JUDGING.first})
        steps.append(env.episode.horizon_s / env.system.control_interval_s)
    return round(float(np.mean(steps)))


_OPEN: list[Form] = []
"""The form of a worker process, put there as the process starts."""


def _open(name: str, plan: TuningPlan) -> None:
    _OPEN.append(Form(name, plan))


def _run_here(work: tuple[list[Values], str, int]) -> list[float]:
    return returns(_OPEN[-1], *work)


def returns(form: Form, candidates: Sequence[Values], scenario: str, seed: int) -> list[float]:
    """The return of each candidate in the same episode. All are simulated together, each in a cell of its own.

    They are those of `run_episode`, in about half of its time: observations, actions and rewards are computed together.
    """
    policy, numbers = form.policies(candidates)
    cells = StreamFlowVectorEnv(len(candidates), scenario, autoreset_mode=AutoresetMode.DISABLED, metrics=False)
    observations, _ = cells.reset(options={"episode_seed": seed})
    state: Any = None
    total, truncated = np.zeros(len(candidates)), np.zeros(len(candidates), dtype=bool)
    while not truncated.all():
        actions, state = policy.predict(observations, state, numbers=numbers)
        observations, rewards, _, truncated, _ = cells.step(actions)
        total += rewards
    cells.close()
    return [float(one) for one in total]
