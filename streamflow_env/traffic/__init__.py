"""The users' load over an episode: rate curves and recorded traces, as multiples of the system's normal load."""

from typing import Annotated

from pydantic import Field

from streamflow_env.traffic.profile import DailyTraffic, Load, Ramp, RampTraffic, Surge, Swing
from streamflow_env.traffic.replay import TraceTraffic
from streamflow_env.traffic.traces import Trace, read_trace

Traffic = Annotated[RampTraffic | DailyTraffic | TraceTraffic, Field(discriminator="kind")]

__all__ = [
    "DailyTraffic",
    "Load",
    "Ramp",
    "RampTraffic",
    "Surge",
    "Swing",
    "Trace",
    "TraceTraffic",
    "Traffic",
    "read_trace",
]
