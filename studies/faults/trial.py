"""One trial, in a process that may die of it: a configuration is loaded, and if it is accepted, both engines run it."""

from __future__ import annotations

import traceback
from typing import Any, Final

import numpy as np

from streamflow_agents.evaluation.timelines import Panels
from streamflow_agents.policies.baselines import StaticBaseline
from streamflow_agents.policies.baselines.baseline import Baseline
from streamflow_agents.policies.baselines.expert import ExpertSettings, make_expert
from streamflow_agents.policies.baselines.keda import Keda, KedaSettings
from streamflow_agents.policies.baselines.static import Playbook
from streamflow_env.engines import ENGINE_NAMES
from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.errors import ConfigError
from streamflow_env.system import load_system
from streamflow_env.system.schema import parse
from studies.faults.cases import Case, parts

ERROR: Final = "clear error"
SANE: Final = "sane run"
LOADED: Final = "sane load"
OTHER: Final = "other"
SHORT_S: Final = 60.0
"""Only so much of a longer episode is run."""


def try_case(case: Case, num_steps: int) -> tuple[str, str]:
    """(how it ended, what was said)."""
    try:
        return _use(case, num_steps)
    except ConfigError as error:
        message = str(error)
        return (ERROR if _is_clear(case, message) else OTHER), message
    except Exception:
        return OTHER, traceback.format_exc(limit=-3)


def _is_clear(case: Case, message: str) -> bool:
    """Whether an error is short and names the field, or what holds it."""
    names = [str(key) for key in case.path if isinstance(key, str)]
    return len(message) < 2000 and any(name.split(".")[0] in message for name in names[-2:])


def _use(case: Case, num_steps: int) -> tuple[str, str]:
    content = case.content()
    if case.kind in ("system", "ramps", "daily", "trace", "reward"):
        given: dict[str, Any] = {"system": parts()["system"], "scenario": parts()["ramps"], "reward": "default"}
        given[case.kind if case.kind in given else "scenario"] = content
        return _run(given, num_steps)
    if case.kind in ("playbook", "expert", "keda"):
        return _act(case.kind, content, num_steps)
    if case.kind == "panels":
        parse(Panels, content, case.kind)
        return LOADED, ""
    from streamflow_agents.training.algorithms import find_algorithm  # torch is loaded only where it is needed

    parse(find_algorithm(case.kind.split("/")[1]).settings, content, case.kind)
    return LOADED, ""


def _run(given: dict[str, Any], num_steps: int) -> tuple[str, str]:
    """Some steps on both engines: alternately with the default action and a random one."""
    ends: list[bytes] = []
    for engine in ENGINE_NAMES:
        env = StreamFlowEnv(**given, engine=engine)
        env.action_space.seed(0)
        seen, _ = env.reset(options={"episode_seed": 1})
        for step in range(num_steps):
            if not np.isfinite(seen).all() or not env.observation_space.contains(seen):
                return OTHER, f"{engine}: an observation is not in its space"
            action = env.action_space.sample() if step % 2 else env.default_action
            seen, reward, _, truncated, _ = env.step(action)
            if not np.isfinite(reward) or reward > 0.0:
                return OTHER, f"{engine}: the reward is {reward}"
            if truncated:
                break
        ends.append(seen.tobytes())
    return (SANE, "") if len(set(ends)) == 1 else (OTHER, "the engines differ")


def _act(kind: str, content: Any, num_steps: int) -> tuple[str, str]:
    """A baseline's actions on observations at both ends of their space, and in between."""
    system = load_system()
    env = StreamFlowEnv("normal", system=system, engine="reference")
    table, low, high = env.observation_table, env.observation_space.low, env.observation_space.high  # type: ignore[attr-defined]
    if kind == "playbook":
        policy: Baseline = StaticBaseline(system, table, parse(Playbook, content, kind).settings)
    elif kind == "expert":
        policy = make_expert(system, table, parse(ExpertSettings, content, kind))
    else:
        keda = parse(KedaSettings, content, kind)
        policy = Baseline(system, table, {}, lambda desk: [Keda(desk, keda)])
    state: Any = None
    for step in range(num_steps):
        action, state = policy.predict(low + (high - low) * np.float32(step / num_steps), state)
        if not np.isfinite(action).all() or np.abs(action).max() > 1.0:
            return OTHER, f"the action is {action}"
    return SANE, ""
