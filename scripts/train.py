"""Train an agent, or go on with a run that was killed. Prints the run's folder; `--help` lists the settings.

python scripts/train.py --algorithm sac --scenario retry-storm
python scripts/train.py --resume runs/RUN                        from its newest checkpoint, as it was started
"""

from __future__ import annotations

from streamflow_agents.commands.train import main

if __name__ == "__main__":
    main()
