"""The commands `streamflow-train`, `streamflow-evaluate` and `streamflow-compare`; in a checkout also in `scripts`.

They need the extras `train` and `plots`. Without these, importing one raises `MissingExtraError`.
"""

from streamflow_agents.extras import require_extras

require_extras("train", "plots")
