"""An evaluation as tables: for the terminal, as Markdown, as CSV, and every episode's raw figures as CSV."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from streamflow_agents.evaluation.episodes import RETURN, EpisodeResult
from streamflow_agents.evaluation.statistics import Estimate, estimate, interquartile_mean, paired_difference
from streamflow_env.errors import ConfigError

ALL: Final = "all scenarios"
MARK: Final = "*"
MARKED: Final = "the 95 % interval of the difference excludes 0 (each by itself: not corrected for their number)"
ENOUGH_SEEDS: Final = 5
TOO_FEW: Final = (
    f"With fewer than {ENOUGH_SEEDS} episodes a scenario the intervals are too narrow: no bootstrap mends that."
)
TABLE_WIDTH: Final = 130
"""Width of the tables where they are not written to a terminal."""


@dataclass(frozen=True)
class Column:
    """One column: a figure, how it is headed and written. `against`: its paired difference from the reference."""

    figure: str
    title: str
    num_decimals: int
    factor: float = 1.0
    against: bool = False

    def texts(self, found: Estimate, num_seeds: int) -> tuple[str, str, str]:
        """The value, its interval, and half the interval's width; a decimal less from 100 on, and from 1000 on.

        A difference of which the interval excludes 0 is marked with `MARK`.
        """
        size = abs(self.factor * found.value)
        decimals = max(0, self.num_decimals - (size >= 100) - (size >= 1000))
        sign = "+" if self.against else ""
        if num_seeds == 1:
            return f"{self.factor * found.value:{sign}.{decimals}f}", "one episode", ""
        value, low, high = (f"{self.factor * x:{sign}.{decimals}f}" for x in (found.value, found.low, found.high))
        mark = MARK if self.against and found.excludes_zero else ""
        return value + mark, f"[{low}, {high}]", f"±{self.factor * (found.high - found.low) / 2:.{decimals}f}"


COLUMNS: Final = (
    Column("sla_fraction", "SLA %", 1, 100),
    Column("error_fraction", "errors %", 2, 100),
    Column("p50_s", "p50 ms", 0, 1000),
    Column("p95_s", "p95 ms", 0, 1000),
    Column("p99_s", "p99 ms", 0, 1000),
    Column("goodput_rps", "goodput /s", 1),
    Column("cost_per_hour", "cost /h", 1),
    Column("quality", "quality", 3),
    Column("stale_fraction", "stale %", 2, 100),
    Column(RETURN, "return", 1),
    Column(RETURN, "Δ return", 1, against=True),
    Column("sla_fraction", "Δ SLA, points", 1, 100, against=True),
)


@dataclass(frozen=True)
class Row:
    """One policy in one scenario, or in all; `estimates` as `COLUMNS`, a difference None for the reference itself."""

    scenario: str
    policy: str
    num_episodes: int
    num_seeds: int
    estimates: tuple[Estimate | None, ...]
    return_iqm: Estimate


def summarise(results: Sequence[EpisodeResult], reference: str) -> list[Row]:
    """Means over episodes with 95 % intervals; with several scenarios, last the mean over them, all weighing the same.

    Raises:
        ConfigError: the reference policy was not evaluated.
    """
    scenarios, policies = _distinct(r.scenario for r in results), _distinct(r.policy for r in results)
    if reference not in policies:
        raise ConfigError(f"reference {reference!r}: must be one of the policies evaluated, {', '.join(policies)}")
    groups = [(name, [name]) for name in scenarios] + ([(ALL, scenarios)] if len(scenarios) > 1 else [])
    rows = []
    for title, members in groups:
        theirs = _Samples(results, members, reference)
        rows += [_row(title, policy, _Samples(results, members, policy), theirs) for policy in policies]
    return rows


class _Samples:
    """The figures of one policy by scenario and seed: shape (num_scenarios, num_seeds)."""

    def __init__(self, results: Sequence[EpisodeResult], scenarios: Sequence[str], policy: str) -> None:
        self.policy = policy
        mine = sorted((r for r in results if r.policy == policy), key=lambda r: r.seed)
        self._by_scenario = [[r.figures for r in mine if r.scenario == scenario] for scenario in scenarios]
        self.num_seeds = len(self._by_scenario[0])
        self.num_episodes = sum(len(episodes) for episodes in self._by_scenario)

    def of(self, figure: str) -> NDArray[np.float64]:
        return np.array([[figures[figure] for figures in episodes] for episodes in self._by_scenario])


def _row(scenario: str, policy: str, mine: _Samples, theirs: _Samples) -> Row:
    def found(column: Column) -> Estimate | None:
        if not column.against:
            return estimate(mine.of(column.figure))
        if policy == theirs.policy:
            return None
        return paired_difference(mine.of(column.figure), theirs.of(column.figure))

    iqm = estimate(mine.of(RETURN), interquartile_mean)
    estimates = tuple(found(column) for column in COLUMNS)
    return Row(scenario, policy, mine.num_episodes, mine.num_seeds, estimates, iqm)


def free_folder(path: str | None = None) -> Path:
    """Where one evaluation's files go: `path`, new or empty, or else a name of its own in `results/`. Makes nothing.

    Raises:
        ConfigError: there is something in `path` already.
    """
    folder = Path(path or f"results/evaluation-{time.strftime('%Y%m%d-%H%M%S')}-{uuid4().hex[:6]}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder}: there is something there already; an evaluation overwrites nothing")
    return folder


def print_tables(rows: Sequence[Row], reference: str, console: Console | None = None) -> None:
    """One table for each scenario; below each value stands half the width of its interval."""
    console = console or Console()
    if not console.is_terminal:
        console = Console(file=console.file, width=TABLE_WIDTH)
    for scenario in _distinct(row.scenario for row in rows):
        mine = [row for row in rows if row.scenario == scenario]
        title = f"{scenario}: {_episodes(mine[0])}; ± half the 95 % interval; Δ against {reference}"
        table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        table.add_column("policy", style="bold", overflow="fold", min_width=12)
        for column in COLUMNS:
            table.add_column(column.title, justify="right", overflow="fold")
        for row in mine:
            table.add_row(
                row.policy, *_cells(row, lambda value, _, width: f"{value}\n[dim]{width}[/dim]" if width else value)
            )
        console.print(table)
    console.print(f"{MARK} {MARKED}", highlight=False)
    if rows[0].num_seeds < ENOUGH_SEEDS:
        console.print(TOO_FEW, highlight=False)


def markdown(rows: Sequence[Row], reference: str, seeds: Sequence[int], command: str) -> str:
    """The same tables as Markdown, with the episodes' `seeds` and the `command` that made them."""
    which = f"seeds {seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"seed {seeds[0]}"
    lines = [
        f"Means over episodes, {len(seeds)} a scenario ({which}), the same for every policy, with bootstrap 95 % "
        f"intervals; Δ is paired by episode, against `{reference}`. `{MARK}`: {MARKED}.",
        "",
        "The intervals are over episodes, not over training seeds: one trained agent is one draw of its training."
        + (f" {TOO_FEW}" if len(seeds) < ENOUGH_SEEDS else ""),
        "",
        "Made by",
        "",
        "```bash",
        command,
        "```",
    ]
    for scenario in _distinct(row.scenario for row in rows):
        mine = [row for row in rows if row.scenario == scenario]
        lines += ["", f"## {scenario}", "", f"{_episodes(mine[0])}.", ""]
        lines.append("| policy | " + " | ".join(column.title for column in COLUMNS) + " |")
        lines.append("|---|" + "---:|" * len(COLUMNS))
        for row in mine:
            cells = _cells(row, lambda value, interval, _: f"{value}<br>{interval}".replace("*", r"\*"))
            lines.append(f"| {row.policy} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def write_summary_csv(rows: Sequence[Row], path: Path) -> None:
    """One line for each scenario, policy and statistic, in natural units."""
    with path.open("x", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("scenario", "policy", "num_episodes", "figure", "statistic", "value", "low_95", "high_95"))
        for row in rows:
            head = (row.scenario, row.policy, row.num_episodes)
            for column, found in zip(COLUMNS, row.estimates, strict=True):
                if found is not None:
                    statistic = "mean paired difference" if column.against else "mean"
                    writer.writerow((*head, column.figure, statistic, found.value, found.low, found.high))
            iqm = row.return_iqm
            writer.writerow((*head, RETURN, "interquartile mean", iqm.value, iqm.low, iqm.high))


def write_episodes_csv(results: Sequence[EpisodeResult], path: Path) -> None:
    """One line for each episode, with all its figures."""
    names = _distinct(name for result in results for name in result.figures)
    with path.open("x", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("policy", "scenario", "episode_seed", *names))
        for r in results:
            writer.writerow((r.policy, r.scenario, r.seed, *(r.figures.get(name, "") for name in names)))


def _cells(row: Row, write: Callable[[str, str, str], str]) -> list[str]:
    pairs = zip(COLUMNS, row.estimates, strict=True)
    return ["–" if found is None else write(*column.texts(found, row.num_seeds)) for column, found in pairs]


def _episodes(row: Row) -> str:
    return f"{row.num_episodes} episode{'s' if row.num_episodes > 1 else ''} a policy"


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
