"""Episodes as arrays, and as they are kept: a CSV with a line for each policy, scenario and seed.

A policy that was trained with several seeds is one policy: its labels are alike up to a `#`, as in `ppo#0`, `ppo#1`.
All policies met the same episodes, so differences are paired.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streamflow_agents.evaluation.episodes import RETURN, EpisodeResult
from streamflow_agents.evaluation.statistics import Estimate, paired_difference
from streamflow_env.errors import ConfigError

RUN_MARK: Final = "#"
KEYS: Final = ("policy", "scenario", "episode_seed")
NUM_DIGITS: Final = 7
"""Significant digits of a kept figure, unless all are asked for."""


@dataclass(frozen=True)
class Episodes:
    """Every figure of every policy: by policy and figure, shape (num_runs, num_scenarios, num_seeds)."""

    scenarios: tuple[str, ...]
    seeds: tuple[int, ...]
    figures: dict[str, dict[str, NDArray[np.float64]]]

    def called(self, policy: str) -> str:
        """The name of a policy, with the number of its training seeds where it has several."""
        runs = self.num_runs(policy)
        return f"{policy} ({runs} runs)" if runs > 1 else policy

    def num_runs(self, policy: str) -> int:
        """The number of training seeds of a policy; 1 for one that is not trained."""
        return len(next(iter(self.figures[policy].values())))

    def of(self, policy: str, figure: str, scenarios: slice | int = slice(None)) -> NDArray[np.float64]:
        """A figure in some scenarios, or in the one of that number; the shape always has all three dimensions."""
        rows = slice(scenarios, scenarios + 1) if isinstance(scenarios, int) else scenarios
        return self.figures[policy][figure][:, rows]

    def only(self, scenarios: Sequence[str]) -> Episodes:
        """The same in those of `scenarios` that there are. Raises ConfigError: there is none."""
        rows = [index for index, name in enumerate(self.scenarios) if name in scenarios]
        if not rows:
            raise ConfigError(f"scenarios {', '.join(scenarios)}: none is of {', '.join(self.scenarios)}")
        figures = {
            policy: {name: values[:, rows] for name, values in of_policy.items()}
            for policy, of_policy in self.figures.items()
        }
        return Episodes(tuple(self.scenarios[row] for row in rows), self.seeds, figures)

    def difference(
        self, policy: str, reference: str, scenarios: slice | int = slice(None), figure: str = RETURN
    ) -> Estimate:
        """The mean difference of a figure, paired by episode."""
        return paired_difference(self.of(policy, figure, scenarios), self.of(reference, figure, scenarios))


def read_episodes(*paths: Path) -> Episodes:
    """The `episodes.csv` of an evaluation, or the same with gzip; of several files, their policies side by side.

    Raises:
        ConfigError: no such file, columns missing, not a number, or a policy that lacks an episode or a figure.
    """
    rows = [row for path in paths for row in read_rows(path)]
    try:
        return _as_arrays(rows, [name for name in rows[0] if name not in KEYS], pooled=True)
    except ConfigError as error:
        raise ConfigError(f"{paths[-1]}: {error}") from None


def episodes_of(results: Sequence[EpisodeResult], *, pooled: bool = False) -> Episodes:
    """The results of an evaluation as arrays, with the figures of the first.

    Each label is a policy of its own, whatever its name, unless labels that are alike up to `RUN_MARK` are `pooled`.

    Raises:
        ConfigError: a policy lacks an episode or a figure.
    """
    return _as_arrays(_rows_of(results), list(results[0].figures), pooled=pooled)


def write_results(
    path: Path, results: Sequence[EpisodeResult], num_digits: int | None = NUM_DIGITS, *, overwrite: bool = True
) -> None:
    """Keep the results of an evaluation in a file; arguments and errors are those of `write_rows`."""
    write_rows(path, _rows_of(results), num_digits, overwrite=overwrite)


def write_rows(
    path: Path, rows: Sequence[Mapping[str, Any]], num_digits: int | None = NUM_DIGITS, *, overwrite: bool = True
) -> None:
    """A CSV of `rows` (with gzip if the name ends in `.gz`), the first row's keys its columns; makes the folder.

    Numbers that are not whole have `num_digits` significant digits, or all of them (None). The same rows give the same
    bytes.

    Raises:
        FileExistsError: the file is there, and is not to be overwritten.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _shortened(value, num_digits) for key, value in row.items()} for row in rows)
    content = text.getvalue().encode("utf-8")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb" if overwrite else "xb") as file:
        file.write(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def _shortened(value: Any, num_digits: int | None) -> Any:
    return f"{value:.{num_digits}g}" if isinstance(value, float) and num_digits is not None else value


def _rows_of(results: Sequence[EpisodeResult]) -> list[dict[str, Any]]:
    return [dict(zip(KEYS, (r.policy, r.scenario, r.seed), strict=True)) | dict(r.figures) for r in results]


def read_rows(path: Path) -> list[dict[str, str]]:
    """The lines of a file of episodes, by column. Raises ConfigError: no such file, no line, or no columns `KEYS`."""
    if not path.is_file():
        raise ConfigError(f"{path}: no such file")
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    rows = list(csv.DictReader(content.decode("utf-8").splitlines()))
    if not rows or any(key not in rows[0] for key in KEYS):
        raise ConfigError(f"{path}: must have the columns {', '.join(KEYS)} and a line at least")
    return rows


def _as_arrays(rows: Sequence[Mapping[str, Any]], names: Sequence[str], *, pooled: bool) -> Episodes:
    """`pooled`: labels that are alike up to `RUN_MARK` are runs of one policy."""
    scenarios = tuple(dict.fromkeys(row["scenario"] for row in rows))
    seeds = tuple(sorted({int(row["episode_seed"]) for row in rows}))
    by_run: dict[str, dict[tuple[str, int], Mapping[str, Any]]] = {}
    for row in rows:
        by_run.setdefault(row["policy"], {})[row["scenario"], int(row["episode_seed"])] = row
    runs: dict[str, list[dict[str, NDArray[np.float64]]]] = {}
    for label, episodes in by_run.items():
        missing = [(s, seed) for s in scenarios for seed in seeds if (s, seed) not in episodes]
        if missing:
            raise ConfigError(f"policy {label!r} lacks the episode {missing[0][0]}, seed {missing[0][1]}")
        try:
            figures = {
                name: np.array([[float(episodes[s, seed][name]) for seed in seeds] for s in scenarios])
                for name in names
            }
        except KeyError as error:
            raise ConfigError(f"policy {label!r} lacks the figure {error}; evaluate it anew") from None
        except ValueError as error:
            raise ConfigError(f"policy {label!r}: {error}") from None
        runs.setdefault(label.partition(RUN_MARK)[0] if pooled else label, []).append(figures)
    figures_of = {
        policy: {name: np.stack([run[name] for run in members]) for name in names} for policy, members in runs.items()
    }
    return Episodes(scenarios, seeds, figures_of)
