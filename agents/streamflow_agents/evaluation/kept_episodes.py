"""Episodes as they are kept: a CSV, a line a policy, scenario and seed, and read again as arrays.

A policy under several training seeds is one: its labels are alike up to a `#`, as in `ppo#0`, `ppo#1`. All policies
met the same episodes, so differences are paired.
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


@dataclass(frozen=True)
class Episodes:
    """Every figure of every policy: by policy and figure, shape (num_runs, num_scenarios, num_seeds)."""

    scenarios: tuple[str, ...]
    seeds: tuple[int, ...]
    figures: dict[str, dict[str, NDArray[np.float64]]]

    def called(self, policy: str) -> str:
        """Its name, with how many training seeds it is the mean of."""
        runs = self.num_runs(policy)
        return f"{policy} ({runs} runs)" if runs > 1 else policy

    def num_runs(self, policy: str) -> int:
        """Of how many training seeds it is; 1 for what is not trained."""
        return len(next(iter(self.figures[policy].values())))

    def of(self, policy: str, figure: str, scenarios: slice | int = slice(None)) -> NDArray[np.float64]:
        """A figure in some scenarios, or in the one of that number; the shape always has all three dimensions."""
        rows = slice(scenarios, scenarios + 1) if isinstance(scenarios, int) else scenarios
        return self.figures[policy][figure][:, rows]

    def difference(self, policy: str, reference: str, scenarios: slice | int = slice(None)) -> Estimate:
        """Of the return, paired by episode."""
        return paired_difference(self.of(policy, RETURN, scenarios), self.of(reference, RETURN, scenarios))


def read_episodes(*paths: Path) -> Episodes:
    """The `episodes.csv` of an evaluation, or the same with gzip; of several, their policies side by side.

    Raises:
        ConfigError: no such file, columns missing, a number that is none, or a policy that lacks an episode.
    """
    rows = [row for path in paths for row in _rows(path)]
    path = paths[-1]
    scenarios = tuple(dict.fromkeys(row["scenario"] for row in rows))
    seeds = tuple(sorted({int(row["episode_seed"]) for row in rows}))
    by_run: dict[str, dict[tuple[str, int], dict[str, str]]] = {}
    for row in rows:
        by_run.setdefault(row["policy"], {})[row["scenario"], int(row["episode_seed"])] = row
    names = [name for name in rows[0] if name not in KEYS]
    runs: dict[str, list[dict[str, NDArray[np.float64]]]] = {}
    for label, episodes in by_run.items():
        missing = [(s, seed) for s in scenarios for seed in seeds if (s, seed) not in episodes]
        if missing:
            raise ConfigError(f"{path}: policy {label!r} lacks the episode {missing[0][0]}, seed {missing[0][1]}")
        try:
            figures = {
                name: np.array([[float(episodes[s, seed][name]) for seed in seeds] for s in scenarios])
                for name in names
            }
        except ValueError as error:
            raise ConfigError(f"{path}: policy {label!r}: {error}") from None
        runs.setdefault(label.partition(RUN_MARK)[0], []).append(figures)
    figures_of = {
        policy: {name: np.stack([run[name] for run in members]) for name in names} for policy, members in runs.items()
    }
    return Episodes(scenarios, seeds, figures_of)


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        raise ConfigError(f"{path}: no such file")
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    rows = list(csv.DictReader(content.decode("utf-8").splitlines()))
    if not rows or any(key not in rows[0] for key in KEYS):
        raise ConfigError(f"{path}: must have the columns {', '.join(KEYS)} and a line at least")
    return rows


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """A CSV with gzip; the same rows give the same bytes."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: f"{v:.7g}" if isinstance(v, float) else v for key, v in row.items()} for row in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.getvalue().encode("utf-8"), mtime=0))


def write_results(path: Path, results: Sequence[EpisodeResult]) -> None:
    """What `evaluate` came to, as `write_rows` does."""
    write_rows(path, [dict(zip(KEYS, (r.policy, r.scenario, r.seed), strict=True)) | dict(r.figures) for r in results])
