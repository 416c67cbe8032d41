"""Policies of one environment: when they forget."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import streamflow_agents
from streamflow_agents.policies.protocol import SinglePolicy


class Counting(SinglePolicy):
    """Its action is the number of its steps in the episode."""

    def act(self, observation: NDArray[np.float32], memory: Any) -> tuple[NDArray[Any], Any]:
        step = memory or 0
        return np.array([step]), step + 1


def test_the_memory_is_forgotten_where_an_episode_starts() -> None:
    policy, seen, state = Counting(), [], None
    for start in (True, False, False, True, False):
        action, state = policy.predict(np.zeros(1, np.float32), state, np.array([start]), deterministic=True)
        seen.append(int(action[0]))
    assert seen == [0, 1, 2, 0, 1]
    assert policy.predict(np.zeros(1, np.float32), state)[0] == [2]


def test_the_public_functions_are_imported_at_first_use() -> None:
    for name in streamflow_agents.__all__:
        assert getattr(streamflow_agents, name).__name__ == name
    with pytest.raises(AttributeError, match="nosuch"):
        streamflow_agents.nosuch  # noqa: B018
    code = "import sys, streamflow_agents; sys.exit(bool({'numpy', 'torch', 'streamflow_env'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
