"""Train an agent, or go on with a run that was killed. Prints the run's folder; `--help` lists the settings.

python scripts/train.py --algorithm sac --scenario retry-storm
python scripts/train.py --resume runs/RUN                        from its newest checkpoint, as it was started
"""

from __future__ import annotations

import sys

from agents.arguments import parse_given
from agents.callbacks import say
from agents.training import TrainingArguments, run_training
from streamflow_env.errors import ConfigError


def main() -> None:
    """Train as the command line says."""
    given = parse_given(TrainingArguments)
    try:
        folder = run_training(given)
    except ConfigError as error:
        sys.exit(f"error: {error}")
    say(f"TensorBoard: tensorboard --logdir {folder.parent}")
    print(folder)


if __name__ == "__main__":
    main()
