"""`streamflow-train`: train an agent, or go on with a run that was killed; prints the run's folder."""

from __future__ import annotations

import signal
import sys

from streamflow_agents.arguments import parse_given
from streamflow_agents.training.callbacks import log
from streamflow_agents.training.run import TrainingArguments, run_training
from streamflow_env.errors import ConfigError


def main() -> None:
    """Train with the options of the command line.

    Ctrl-C and SIGTERM end it with the exit codes 130 and 143, after what was learned is kept.
    """
    given = parse_given(TrainingArguments)
    try:
        folder = run_training(given)
    except ConfigError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    log(f"TensorBoard: tensorboard --logdir {folder.parent}")
    print(folder)
