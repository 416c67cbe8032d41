"""Incidents as data, and the changes of the system that they cause.

An incident of a new kind is a class with `kind`, `check` and `sample`, added to `Incident`. Each is drawn into an
`Outbreak`: effects (a value of a service for a while), extra first attempts, marks for pictures, announcements.

Effects of the same kind on the same service can overlap. Then slowdown and quota factors multiply, the longest
retry-after holds, and of bulk invalidations at one instant the largest holds. After the last effect the value is
exactly the healthy one.
"""

from typing import Annotated

from pydantic import Field

from streamflow_env.incidents.campaign import Campaign
from streamflow_env.incidents.changes import changes_of
from streamflow_env.incidents.incident import BaseIncident, Effect, Extra, Outbreak
from streamflow_env.incidents.trouble import (
    ContentDrop,
    Deployment,
    LlmDegradation,
    Precursor,
    Slowdown,
    check_slowdowns,
)

Incident = Annotated[Slowdown | LlmDegradation | ContentDrop | Campaign | Deployment, Field(discriminator="kind")]

__all__ = [
    "BaseIncident",
    "Campaign",
    "ContentDrop",
    "Deployment",
    "Effect",
    "Extra",
    "Incident",
    "LlmDegradation",
    "Outbreak",
    "Precursor",
    "Slowdown",
    "changes_of",
    "check_slowdowns",
]
