"""What happens to the system, and when: incidents as data, and the changes of the system that they come to.

An incident of a new kind is a class with `kind`, `check` and `sample`, added to `Incident`. Each is drawn into an
`Outbreak`: effects (a value of a service for a while), extra first attempts, marks for pictures, announcements.

Effects that overlap on the same kind of change of the same service combine: slowdown and quota factors multiply, of
retry-afters the longest holds, of bulk invalidations at one instant the largest. When the last effect ends, the value
is again exactly the healthy one.
"""

from typing import Annotated

from pydantic import Field

from streamflow_env.incidents.campaign import Campaign
from streamflow_env.incidents.changes import changes_of
from streamflow_env.incidents.incident import BaseIncident, Effect, Extra, Outbreak
from streamflow_env.incidents.trouble import ContentDrop, LlmDegradation, Precursor, Slowdown

Incident = Annotated[Slowdown | LlmDegradation | ContentDrop | Campaign, Field(discriminator="kind")]

__all__ = [
    "BaseIncident",
    "Campaign",
    "ContentDrop",
    "Effect",
    "Extra",
    "Incident",
    "LlmDegradation",
    "Outbreak",
    "Precursor",
    "Slowdown",
    "changes_of",
]
