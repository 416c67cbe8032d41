"""The episodes of the policies at score 0 and 100, kept beside a suite's file, with what they were made with.

Scoring a policy then costs only that policy's episodes. What was made with another policy, suite, environment or
scenario is an error, not a score.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from streamflow_agents.evaluation.episodes import EpisodeResult
from streamflow_agents.evaluation.kept_episodes import KEYS, read_rows, write_rows
from streamflow_agents.evaluation.suite import FIGURES, Level, Suite
from streamflow_agents.policies.loading import policy_digest
from streamflow_env import ENV_IDS
from streamflow_env.environment.rewards import load_reward
from streamflow_env.errors import ConfigError
from streamflow_env.paths import config_path
from streamflow_env.scenarios import load_scenario
from streamflow_env.system import load_system

ENVIRONMENT: Final = ENV_IDS[0]
"""Its version is that of the behaviour of every scenario."""
ANEW: Final = "`scripts/suite.py --keep` makes the file anew"


def references_path(suite: str | Path) -> Path:
    """Where the references of `suite`, a name or a YAML file, are kept. Raises ConfigError as `load_suite` does."""
    return config_path("suites", suite).with_suffix(".csv.gz")


def keep_references(path: Path, suite: Suite, results: Sequence[EpisodeResult]) -> None:
    """Write the episodes of the references, with all digits."""
    made_with = _MadeWith(suite)
    rows = [
        dict(zip(KEYS, (r.policy, r.scenario, r.seed), strict=True))
        | {figure: r.figures[figure] for figure in FIGURES}
        | made_with.of(r.policy, r.scenario)
        for r in results
    ]
    write_rows(path, rows, num_digits=None)


def read_references(path: Path, suite: Suite, levels: Iterable[Level], seeds: Sequence[int]) -> list[EpisodeResult]:
    """The episodes `seeds` of the references of some levels.

    Raises:
        ConfigError: an episode is missing, or was made with something else than what there is now.
    """
    kept = {tuple(row[key] for key in KEYS): row for row in read_rows(path)}
    made_with = _MadeWith(suite)
    results = []
    for level in levels:
        for policy in level.references:
            for scenario in level.scenarios:
                expected = made_with.of(policy, scenario)
                for seed in seeds:
                    row = kept.get((policy, scenario, str(seed)))
                    if row is None:
                        raise ConfigError(f"{path}: lacks {policy!r} in {scenario!r}, seed {seed}; {ANEW}")
                    results.append(EpisodeResult(policy, scenario, seed, _figures(path, row, expected)))
    return results


def _figures(path: Path, row: dict[str, str], expected: dict[str, str]) -> dict[str, float]:
    which = f"{row['policy']!r} in {row['scenario']!r}"
    for key, value in expected.items():
        if row.get(key) != value:
            raise ConfigError(f"{path}: {which} was made with {key} {row.get(key)}, which is {value} now; {ANEW}")
    try:
        return {figure: float(row[figure]) for figure in FIGURES}
    except (KeyError, ValueError) as error:
        raise ConfigError(f"{path}: {which}: must have the numbers {', '.join(FIGURES)} ({error}); {ANEW}") from None


class _MadeWith:
    """What the figures of a suite's references depend on, as short texts by what it is."""

    def __init__(self, suite: Suite) -> None:
        self._suite = f"{suite.name} {suite.version}"
        self._environment = f"{ENVIRONMENT} {_short(load_system().model_dump_json() + load_reward().model_dump_json())}"
        self._policies: dict[str, str] = {}
        self._scenarios: dict[str, str] = {}

    def of(self, policy: str, scenario: str) -> dict[str, str]:
        """By column of the kept file."""
        if policy not in self._policies:
            self._policies[policy] = policy_digest(policy)[:12]
        if scenario not in self._scenarios:
            self._scenarios[scenario] = _short(load_scenario(scenario).model_dump_json())
        return {
            "suite": self._suite,
            "environment": self._environment,
            "policy_files": self._policies[policy],
            "scenario_content": self._scenarios[scenario],
        }


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
