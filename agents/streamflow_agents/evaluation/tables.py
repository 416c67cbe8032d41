"""An evaluation as tables: for the terminal, as Markdown and as CSV."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from streamflow_agents.evaluation.columns import (
    COST,
    ERRORS,
    GOODPUT,
    MARK,
    P50,
    P95,
    P99,
    QUALITY,
    RETURN_DIFFERENCE,
    SLA,
    SLA_DIFFERENCE,
    STALE,
    TOTAL_RETURN,
    Column,
)
from streamflow_agents.evaluation.comparison import ALL
from streamflow_agents.evaluation.episodes import RETURN, EpisodeResult
from streamflow_agents.evaluation.kept_episodes import Episodes, episodes_of, write_rows
from streamflow_agents.evaluation.statistics import Estimate, estimate, interquartile_mean
from streamflow_env.errors import ConfigError

MARKED: Final = "the 95 % interval of the difference excludes 0 (each by itself: not corrected for their number)"
ENOUGH_SEEDS: Final = 5
TOO_FEW: Final = (
    f"With fewer than {ENOUGH_SEEDS} episodes a scenario the intervals are too narrow: no bootstrap can mend that."
)
TABLE_WIDTH: Final = 130
"""Width of the tables where they are not written to a terminal."""


COLUMNS: Final = (
    SLA, ERRORS, P50, P95, P99, GOODPUT, COST, QUALITY, STALE, TOTAL_RETURN, RETURN_DIFFERENCE, SLA_DIFFERENCE,
)  # fmt: skip


@dataclass(frozen=True)
class PolicySummary:
    """One policy in one scenario, or in all: `estimates` in the order of `COLUMNS`.

    A difference is None for the reference itself.
    """

    scenario: str
    policy: str
    num_episodes: int
    num_seeds: int
    estimates: tuple[Estimate | None, ...]
    return_iqm: Estimate


def summarise(results: Sequence[EpisodeResult], reference: str) -> list[PolicySummary]:
    """Means over episodes with 95 % intervals, scenario by scenario.

    Of several scenarios the last summaries are means over them; all scenarios weigh the same.

    Raises:
        ConfigError: the reference policy was not evaluated, or a policy lacks an episode.
    """
    episodes = episodes_of(results)
    if reference not in episodes.figures:
        known = ", ".join(episodes.figures)
        raise ConfigError(f"reference {reference!r}: must be one of the policies evaluated, {known}")
    groups: list[tuple[str, slice | int]] = [(name, index) for index, name in enumerate(episodes.scenarios)]
    if len(groups) > 1:
        groups.append((ALL, slice(None)))
    return [
        _summary(title, policy, episodes, reference, scenarios)
        for title, scenarios in groups
        for policy in episodes.figures
    ]


def _summary(title: str, policy: str, episodes: Episodes, reference: str, scenarios: slice | int) -> PolicySummary:
    def found(column: Column) -> Estimate | None:
        if not column.against:
            return estimate(episodes.of(policy, column.figure, scenarios))
        if policy == reference:
            return None
        return episodes.difference(policy, reference, scenarios, column.figure)

    returns = episodes.of(policy, RETURN, scenarios)
    estimates = tuple(found(column) for column in COLUMNS)
    iqm = estimate(returns, interquartile_mean)
    return PolicySummary(title, policy, returns.size, len(episodes.seeds), estimates, iqm)


def free_folder(path: str | None = None) -> Path:
    """The folder for the files of one evaluation: `path`, new or empty, or else a new name in `results/`.

    It does not make the folder.

    Raises:
        ConfigError: `path` holds something already.
    """
    folder = Path(path or f"results/evaluation-{time.strftime('%Y%m%d-%H%M%S')}-{uuid4().hex[:6]}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder}: holds something already; an evaluation overwrites nothing")
    return folder


def print_tables(rows: Sequence[PolicySummary], reference: str, console: Console | None = None) -> None:
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


def markdown(rows: Sequence[PolicySummary], reference: str, seeds: Sequence[int], command: str) -> str:
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


def write_summary_csv(summaries: Sequence[PolicySummary], path: Path) -> None:
    """One line for each scenario, policy and statistic, in natural units. Raises FileExistsError."""
    rows = []
    for summary in summaries:
        statistics = [
            (column.figure, "mean paired difference" if column.against else "mean", found)
            for column, found in zip(COLUMNS, summary.estimates, strict=True)
        ]
        for figure, statistic, found in [*statistics, (RETURN, "interquartile mean", summary.return_iqm)]:
            if found is not None:
                rows.append(
                    {
                        "scenario": summary.scenario, "policy": summary.policy, "num_episodes": summary.num_episodes,
                        "figure": figure, "statistic": statistic,
                        "value": found.value, "low_95": found.low, "high_95": found.high,
                    }
                )  # fmt: skip
    write_rows(path, rows, num_digits=None, overwrite=False)


def _cells(summary: PolicySummary, write: Callable[[str, str, str], str]) -> list[str]:
    pairs = zip(COLUMNS, summary.estimates, strict=True)
    return ["–" if found is None else write(*column.texts(found, summary.num_seeds)) for column, found in pairs]


def _episodes(summary: PolicySummary) -> str:
    return f"{summary.num_episodes} episode{'s' if summary.num_episodes > 1 else ''} a policy"


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
