"""What is shown while an agent trains: TensorBoard's curves, evaluations against the baselines, a progress bar."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback
from tqdm import tqdm

from streamflow_agents.policies.protocol import Policy
from streamflow_agents.training.checkpoints import TrainingProgress
from streamflow_agents.training.curves import Curves, write_evaluation
from streamflow_agents.training.paired import difference_figures
from streamflow_agents.training.task import Judge
from streamflow_env.environment.sequential_sum import sequential_sum

GROUPS = {"metrics": "metrics", "reward_terms": "reward", "controls": "controls"}
"""Dictionaries of numbers in a step's info, and the heading under which TensorBoard shows their means."""


def log(line: str) -> None:
    """Print `line` on the error stream, above the progress bar; the output stream is kept for results."""
    tqdm.write(line, file=sys.stderr)


class Means:
    """Running means over dictionaries with the same keys; values that are not finite are left out."""

    def __init__(self) -> None:
        self._names: tuple[str, ...] = ()
        self._sums = np.zeros(0)
        self._counts = np.zeros(0)

    def add(self, values: dict[str, float]) -> None:
        if not self._names:
            self._names = tuple(values)
            self._sums, self._counts = np.zeros(len(values)), np.zeros(len(values))
        numbers = np.fromiter(values.values(), dtype=np.float64, count=len(self._names))
        finite = np.isfinite(numbers)
        self._sums[finite] += numbers[finite]
        self._counts += finite

    def take(self) -> dict[str, float]:
        """The means since the last call."""
        seen = self._counts > 0
        means = self._sums[seen] / self._counts[seen]
        names = [name for name, there in zip(self._names, seen, strict=True) if there]
        self._sums[:] = 0.0
        self._counts[:] = 0.0
        return dict(zip(names, means.tolist(), strict=True))


class TrainingLog(BaseCallback):
    """Logs means over all cells of what the environment's info reports, of the actions, and the learner's figures.

    It logs at the first update after `every_steps`, and at the end: some algorithms update too often, or finish
    episodes too rarely, for a log of their own. `action_names` are those of the controls, unless they are given.
    """

    def __init__(self, every_steps: int, action_names: Sequence[str] = ()) -> None:
        super().__init__()
        self._every_steps = every_steps
        self._logged_at = 0
        self._means = {group: Means() for group in GROUPS}
        self._actions: list[NDArray[np.float32]] = []
        self._action_names = tuple(action_names)

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            for group, means in self._means.items():
                means.add(info[group])
        self._actions.append(np.clip(self.locals["actions"], -1.0, 1.0))
        if not self._action_names:
            self._action_names = tuple(self.locals["infos"][0]["controls"])
        return True

    def _on_training_start(self) -> None:
        self._logged_at = self.model.num_timesteps

    def _on_rollout_end(self) -> None:
        if self.num_timesteps - self._logged_at >= self._every_steps:
            self._log()

    def _on_training_end(self) -> None:
        if self.model.num_timesteps > self._logged_at:
            self._log()

    def _log(self) -> None:
        self._logged_at = self.num_timesteps
        for group, means in self._means.items():
            for name, value in means.take().items():
                self.logger.record(f"{GROUPS[group]}/{name}", value)
                if name == "sla_fraction":
                    self.logger.record("metrics/sla_miss_fraction", 1.0 - value)
        actions = np.concatenate(self._actions)
        self._actions.clear()
        for name, mean, std in zip(self._action_names, actions.mean(axis=0), actions.std(axis=0), strict=True):
            self.logger.record(f"action_mean/{name}", float(mean))
            self.logger.record(f"action_std/{name}", float(std))
        self.model.dump_logs()


class EvaluationLog(BaseCallback):
    """Evaluates the deterministic policy before training, at its end and every `every_steps`; then calls `keep`.

    It evaluates between two updates, so that what `keep` saves is what was judged. The reference policies are scored
    once. Their scores are written at each evaluation under the same tags, as runs of their own (`baseline-NAME` in
    `folder`): TensorBoard draws them as lines into the same charts. `progress` is
    brought up to date; a resumed run brings the one it had.

    `as_policy` makes of the model what is judged. The returns of the reference policy `paired_with` are taken off the
    model's, episode by episode; the mean of it is shown with its 95 % interval.
    """

    def __init__(
        self,
        judge: Judge,
        reference_policies: dict[str, Policy],
        every_steps: int,
        folder: Path,
        progress: TrainingProgress,
        keep: Callable[[], None],
        *,
        as_policy: Callable[[Any], Policy] = lambda model: model,
        paired_with: str = "",
    ) -> None:
        super().__init__()
        self._as_policy = as_policy
        self._paired_with = paired_with
        self._judge = judge
        self._reference_policies = reference_policies
        self._every_steps = every_steps
        self._folder = folder
        self._progress = progress
        self._keep = keep
        self._lines: dict[str, Curves] = {}

    def _on_training_start(self) -> None:
        levels = self._progress.levels
        for name, policy in self._reference_policies.items():
            if name not in levels:
                levels[name] = self._judge(policy)
        for name in levels:
            self._lines[name] = Curves(self._folder / f"baseline-{name}", self._progress.resumed_at)
        shown = ", ".join(f"{name} {figures['return']:.1f}" for name, figures in levels.items())
        log(f"return of the baselines on the evaluation's episodes: {shown or 'none given'}")

    def _on_rollout_start(self) -> None:
        if self.model.num_timesteps // self._every_steps > self._progress.evaluated_at // self._every_steps:
            self._evaluate()

    def _on_step(self) -> bool:
        return True

    def _on_training_end(self) -> None:
        if self._progress.evaluated_at != self.model.num_timesteps:
            self._evaluate()
        for line in self._lines.values():
            line.close()

    def _evaluate(self) -> None:
        figures, steps, progress = self._judge(self._as_policy(self.model)), self.model.num_timesteps, self._progress
        progress.evaluated_at = steps
        better = figures["return"] > progress.best_return
        if better:
            progress.best_return, progress.best_at = figures["return"], steps
        difference = difference_figures(figures, progress.levels.get(self._paired_with, {}))
        write_evaluation(self.logger.output_formats, steps, figures | difference)
        for name, line in self._lines.items():
            write_evaluation([line], steps, progress.levels[name])
        self._keep()
        log(
            f"step {steps:>9,}: return {figures['return']:.1f}"
            + (f", SLA {figures['sla_fraction']:.1%}" if "sla_fraction" in figures else "")
            + (f", {_shown(difference)} to {self._paired_with}" if difference else "")
            + (" (best so far)" if better else "")
        )


def _shown(difference: dict[str, float]) -> str:
    """The difference and its interval; of one episode there is no interval."""
    shown = f"{difference['paired_difference']:+.2f}"
    if "paired_difference_low" not in difference:
        return shown
    return f"{shown} ({difference['paired_difference_low']:+.2f} to {difference['paired_difference_high']:+.2f})"


class ProgressBar(BaseCallback):
    """A progress bar with the time left, and the SLA share and the reward of a step over the last update."""

    def __init__(self, total_steps: int, *, first_step: int = 0, shown: bool) -> None:
        super().__init__()
        self._bar = tqdm(
            total=total_steps,
            initial=first_step,
            unit=" steps",
            unit_scale=True,
            disable=not shown,
            dynamic_ncols=True,
        )
        self._shown = Means()

    def close(self) -> None:
        self._bar.close()

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            reward = sequential_sum(info["reward_terms"].values())
            self._shown.add({"SLA": info["metrics"]["sla_fraction"], "reward": reward})
        self._bar.update(self.training_env.num_envs)
        return True

    def _on_rollout_end(self) -> None:
        means = self._shown.take()
        self._bar.set_postfix(SLA=f"{means['SLA']:.1%}", reward=f"{means['reward']:.2f}")
