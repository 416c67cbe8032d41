"""What an operator can read of the system, as one table that is derived from the system by kinds of service."""

from streamflow_env.environment.observations.fields import Field
from streamflow_env.environment.observations.rewarded import reward_fields
from streamflow_env.environment.observations.table import NOTHING_ANNOUNCED, ObservationTable

__all__ = ["NOTHING_ANNOUNCED", "Field", "ObservationTable", "reward_fields"]
