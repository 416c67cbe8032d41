"""Compare policies on episodes that no agent has been trained on: tables, raw figures and pictures.

python scripts/evaluate.py                                                  the baselines on every scenario
python scripts/evaluate.py --policies do_nothing,hpa,agent=runs/ppo-mixed-...   a trained agent beside them
python scripts/evaluate.py --trace traffic.csv                              on recorded traffic
"""

from __future__ import annotations

from streamflow_agents.commands.evaluate import main

if __name__ == "__main__":
    main()
