"""Score policies on the held-out episodes of the benchmark suite: one table, and files to verify it by.

python scripts/suite.py --policies tuned_expert,runs/RUN                    the score of a trained agent, level by level
python scripts/suite.py --policies runs/RUN --levels storm --by-scenario    one level, scenario by scenario
python scripts/suite.py --policies runs/RUN --episodes 2                    a trial, which is not a score of the suite
python scripts/suite.py --keep                                              evaluate the policies at 0 and 100 anew
"""

from __future__ import annotations

from streamflow_agents.commands.suite import main

if __name__ == "__main__":
    main()
