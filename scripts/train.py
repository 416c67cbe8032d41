"""Train an agent. Prints the run's folder; `--help` lists the settings."""

from __future__ import annotations

import sys

from agents.arguments import parse_arguments
from agents.callbacks import say
from agents.task import streamflow_task
from agents.training import TrainingArguments, train
from streamflow_env.errors import ConfigError


def main() -> None:
    """Train as the command line says."""
    try:
        arguments = parse_arguments(TrainingArguments)
        task = streamflow_task(
            arguments.scenario,
            arguments.system,
            arguments.engine,
            num_episodes=arguments.num_evaluation_episodes,
            num_threads=arguments.num_threads,
            say=say,
        )
        folder = train(arguments, task)
    except ConfigError as error:
        sys.exit(f"error: {error}")
    say(f"TensorBoard: tensorboard --logdir {arguments.out}")
    print(folder)


if __name__ == "__main__":
    main()
