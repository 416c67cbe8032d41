"""Compare trajectories with those kept in `data/digest.json`; a change that moves and renames must change none.

An episode's digest is of every observation, reward and telemetry array, in order. Every scenario has three seeds, each
with the default action and with random ones. The compiled engine runs 240 steps, the reference engine, which is slow,
the first 30.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

import streamflow_env
from streamflow_agents.arguments import argument
from streamflow_agents.parallel import run_all
from streamflow_env.engines.telemetry import Telemetry
from streamflow_env.environment.env import StreamFlowEnv
from studies.common.study import StudyArguments, kept

KEPT: Final = kept("digest") / "digest.json"
SEEDS: Final = (1, 2, 3)
MODES: Final = ("default", "random")
STEPS: Final = {"reference": 30, "compiled": 240}
Case = tuple[str, int, str, str]
"""Scenario, seed, actions, engine."""


@dataclass(frozen=True)
class Arguments(StudyArguments):
    """Compare trajectories with those that were kept; exits with 1 where one differs."""

    keep: bool = argument(False, "keep the digests, after a change that is meant to change them")


def run(arguments: Arguments) -> int:
    """Compare, or keep; 1 where an episode differs, else 0. A quick run has one seed of each scenario."""
    seeds = SEEDS[:1] if arguments.quick else SEEDS
    cases = [(s, k, m, e) for s in streamflow_env.SCENARIOS for k in seeds for m in MODES for e in STEPS]
    found: dict[str, dict[str, dict[str, str]]] = {}
    digests = run_all(digest, cases, arguments.jobs, arguments.progress)
    for (scenario, seed, mode, engine), result in zip(cases, digests, strict=True):
        found.setdefault(f"{scenario} seed {seed} {mode}", {})[engine] = result
    if arguments.keep:
        KEPT.write_text(json.dumps(found, indent=1), encoding="utf-8")
        print(f"{KEPT}: {len(found)} episodes")
        return 0
    expected = json.loads(KEPT.read_text(encoding="utf-8"))
    different = [name for name, result in found.items() if result != expected.get(name)]
    for name in different:
        print(f"DIFFERENT {name}")
    print(f"{len(found) - len(different)} of {len(found)} episodes are the same as those kept, on both engines")
    return 1 if different else 0


def digest(case: Case) -> dict[str, str]:
    """By number of steps, the digest of an episode up to there."""
    scenario, seed, mode, engine = case
    env = StreamFlowEnv(scenario, engine=engine)
    rng = np.random.Generator(np.random.PCG64(seed))
    state, found, step = hashlib.sha256(), {}, 0
    observation, _ = env.reset(options={"episode_seed": seed})
    state.update(observation.tobytes())
    _add(state, env.telemetry)
    for step in range(1, STEPS[engine] + 1):
        action = env.default_action if mode == "default" else rng.uniform(-1, 1, env.default_action.shape)
        observation, reward, _, truncated, _ = env.step(np.asarray(action, dtype=np.float32))
        state.update(observation.tobytes())
        state.update(np.float64(reward).tobytes())
        _add(state, env.telemetry)
        if step in STEPS.values():
            found[str(step)] = state.hexdigest()[:16]
        if truncated:
            break
    found[str(step)] = state.hexdigest()[:16]
    return found


def _add(state: Any, telemetry: Telemetry) -> None:
    arrays = (telemetry.services, telemetry.classes, telemetry.calls, telemetry.sojourn, telemetry.response)
    for array in (*arrays, telemetry.controls):
        state.update(np.ascontiguousarray(array).tobytes())
