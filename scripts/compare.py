"""Compare the policies of an evaluation: statistics from its kept episodes, and a verdict in words on each.

python scripts/compare.py results/EVALUATION                                writes comparison.md and its picture there
python scripts/compare.py results/EVALUATION --reference do_nothing
"""

from __future__ import annotations

from streamflow_agents.commands.compare import main

if __name__ == "__main__":
    main()
