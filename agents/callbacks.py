"""What is watched while an agent trains: TensorBoard's curves, evaluations against the baselines, a progress bar."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from agents.policies import Policy
from agents.task import Judge

GROUPS = {"metrics": "metrics", "reward_terms": "reward", "controls": "controls"}
"""Dictionaries of numbers in a step's info, and the heading under which TensorBoard shows their means."""


def say(line: str) -> None:
    """Print `line` on the error stream, above the progress bar; the output stream is kept for results."""
    tqdm.write(line, file=sys.stderr)


class Means:
    """Running means of dictionaries with the same keys; values that are not finite are left out."""

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
    """Logs, once an update, the means over all cells of what the environment's info reports, and the actions taken."""

    def __init__(self) -> None:
        super().__init__()
        self._means = {group: Means() for group in GROUPS}
        self._actions: list[NDArray[np.float32]] = []
        self._control_names: tuple[str, ...] = ()

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            for group, means in self._means.items():
                means.add(info[group])
        self._actions.append(np.clip(self.locals["actions"], -1.0, 1.0))
        if not self._control_names:
            self._control_names = tuple(self.locals["infos"][0]["controls"])
        return True

    def _on_rollout_end(self) -> None:
        for group, means in self._means.items():
            for name, value in means.take().items():
                self.logger.record(f"{GROUPS[group]}/{name}", value)
                if name == "sla_fraction":
                    self.logger.record("metrics/sla_miss_fraction", 1.0 - value)
        actions = np.concatenate(self._actions)
        self._actions.clear()
        for name, mean, std in zip(self._control_names, actions.mean(axis=0), actions.std(axis=0), strict=True):
            self.logger.record(f"action_mean/{name}", float(mean))
            self.logger.record(f"action_std/{name}", float(std))


class EvaluationLog(BaseCallback):
    """Evaluates the deterministic policy before training, at its end and every `every_calls` calls; keeps the best.

    The reference policies are scored once, and written at each evaluation under the same tags as runs of their own
    (`baseline-NAME` beside the best model), so that TensorBoard draws them as lines into the same charts.
    """

    def __init__(
        self,
        judge: Judge,
        reference_policies: dict[str, Policy],
        every_calls: int,
        best_model: Path,
    ) -> None:
        super().__init__()
        self._judge = judge
        self._reference_policies = reference_policies
        self._every_calls = every_calls
        self._best_model = best_model
        self._references: dict[str, dict[str, float]] = {}
        self._writers: dict[str, SummaryWriter] = {}
        self._best_return = -math.inf
        self._evaluated_at = -1

    def _on_training_start(self) -> None:
        for name, policy in self._reference_policies.items():
            self._references[name] = self._judge(policy)
            self._writers[name] = SummaryWriter(str(self._best_model.parent / f"baseline-{name}"))
        levels = ", ".join(f"{name} {figures['return']:.1f}" for name, figures in self._references.items())
        say(f"return of the baselines on the evaluation's episodes: {levels or 'none given'}")
        self._evaluate()

    def _on_step(self) -> bool:
        if self.n_calls % self._every_calls == 0:
            self._evaluate()
        return True

    def _on_training_end(self) -> None:
        if self._evaluated_at != self.num_timesteps:
            self._evaluate()
        for writer in self._writers.values():
            writer.close()

    def _evaluate(self) -> None:
        figures = self._judge(self.model)
        self._evaluated_at = self.num_timesteps
        better = figures["return"] > self._best_return
        if better:
            self._best_return = figures["return"]
            self.model.save(self._best_model)
        say(
            f"step {self.num_timesteps:>9,}: return {figures['return']:.1f}"
            + (f", SLA {figures['sla_fraction']:.1%}" if "sla_fraction" in figures else "")
            + (" (best so far)" if better else "")
        )
        _write_now(self.logger, self.num_timesteps, {f"eval/{name}": value for name, value in figures.items()})
        for name, writer in self._writers.items():
            for figure, value in self._references[name].items():
                writer.add_scalar(f"eval/{figure}", value, self.num_timesteps)
            writer.flush()


class Progress(BaseCallback):
    """A progress bar with the time left, and the SLA share and the reward of a step over the last update."""

    def __init__(self, total_steps: int, *, shown: bool) -> None:
        super().__init__()
        self._bar = tqdm(total=total_steps, unit=" steps", unit_scale=True, disable=not shown, dynamic_ncols=True)
        self._shown = Means()

    def close(self) -> None:
        self._bar.close()

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            reward = sum(info["reward_terms"].values())
            self._shown.add({"SLA": info["metrics"]["sla_fraction"], "reward": reward})
        self._bar.update(self.training_env.num_envs)
        return True

    def _on_rollout_end(self) -> None:
        means = self._shown.take()
        self._bar.set_postfix(SLA=f"{means['SLA']:.1%}", reward=f"{means['reward']:.2f}")


def _write_now(logger: Logger, step: int, values: dict[str, float]) -> None:
    """Write `values` at `step`, without waiting for the end of the update and without taking along what waits."""
    for output in logger.output_formats:
        output.write(values, dict.fromkeys(values, ()), step)
