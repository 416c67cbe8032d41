"""The first lines that users of Stable-Baselines3 type, with an id: it asks for `render_mode="rgb_array"` first."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded

from streamflow_env import ConfigError, StreamFlowEnv
from streamflow_env.environment.env import NoEpisodeError
from streamflow_env.errors import RenderModeError

SCRIPT = """
import numpy as np
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import SubprocVecEnv
import streamflow_env

if __name__ == "__main__":
    reference = {"engine": "reference"}
    cells = make_vec_env("StreamFlow-v1", n_envs=2, seed=1, vec_env_cls=SubprocVecEnv, env_kwargs=reference)
    assert not cells.has_attr("telemetry")
    assert cells.reset().shape == (2, *cells.observation_space.shape)
    _, rewards, _, infos = cells.step(np.zeros((2, *cells.action_space.shape), dtype=np.float32))
    assert cells.has_attr("telemetry")
    cells.close()
    print(*(float(reward) for reward in rewards), *(info["episode_seed"] for info in infos))
"""


def test_an_algorithm_makes_the_environment_by_id() -> None:
    from stable_baselines3 import PPO

    model = PPO("MlpPolicy", "StreamFlow-v1", n_steps=4, batch_size=4, n_epochs=1, device="cpu", seed=0)
    model.learn(total_timesteps=4)
    assert model.num_timesteps == 4


@pytest.mark.slow
def test_stable_baselines_makes_cells_by_id_in_one_process_and_in_several(tmp_path: Path) -> None:
    """The script is a file, as a user's is: its processes import what it imports, and that registers the ids."""
    from stable_baselines3.common.env_util import make_vec_env

    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    result = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    cells = make_vec_env("StreamFlow-v1", n_envs=2, seed=1)
    cells.reset()
    _, rewards, _, infos = cells.step(np.zeros((2, *(cells.action_space.shape or ())), dtype=np.float32))
    expected = [*(float(reward) for reward in rewards), *(info["episode_seed"] for info in infos)]
    assert [float(text) for text in result.stdout.split()] == pytest.approx(expected, rel=1e-6)  # float32 rewards here


@pytest.mark.parametrize("make", [gymnasium.make, gymnasium.make_vec])
def test_a_render_mode_is_the_error_that_either_library_expects(make: type[StreamFlowEnv]) -> None:
    for kind in (TypeError, ConfigError, RenderModeError):
        with pytest.raises(kind, match="render_mode 'rgb_array': must be None"):
            make("StreamFlow-v1", render_mode="rgb_array")


def test_there_is_nothing_to_render() -> None:
    env = gymnasium.make("StreamFlow-v1", engine="reference")
    assert env.unwrapped.metadata["render_modes"] == []
    assert env.render_mode is None
    with pytest.raises(NotImplementedError):
        env.unwrapped.render()


def test_what_an_episode_gives_is_an_attribute_that_is_not_there_before_the_first_reset() -> None:
    env = StreamFlowEnv(engine="reference")
    for name in ("telemetry", "episode", "time_s"):
        assert not hasattr(env, name)
        for kind in (AttributeError, ResetNeeded, NoEpisodeError):
            with pytest.raises(kind, match=r"call reset\(\) first"):
                getattr(env, name)
    with pytest.raises(AttributeError):
        gymnasium.make("StreamFlow-v1", engine="reference").get_wrapper_attr("telemetry")
