"""What is simulated, as validated data: services, calls, plans, users, costs, controls. Nothing is simulated here."""

from streamflow_env.system.controls import Control, ControlTable
from streamflow_env.system.plans import (
    Breaker,
    CallPolicy,
    CallStep,
    ComputeStep,
    EmitStep,
    FillStep,
    InvalidateStep,
    LookupStep,
    QueryStep,
    RequestClass,
    Step,
    Users,
)
from streamflow_env.system.services import (
    Cache,
    Consumer,
    Database,
    DeferredQueue,
    Duration,
    LlmEndpoint,
    Service,
    VectorIndex,
    WorkerPool,
)
from streamflow_env.system.system import Sla, System, load_system

__all__ = [
    "Breaker",
    "Cache",
    "CallPolicy",
    "CallStep",
    "ComputeStep",
    "Consumer",
    "Control",
    "ControlTable",
    "Database",
    "DeferredQueue",
    "Duration",
    "EmitStep",
    "FillStep",
    "InvalidateStep",
    "LlmEndpoint",
    "LookupStep",
    "QueryStep",
    "RequestClass",
    "Service",
    "Sla",
    "Step",
    "System",
    "Users",
    "VectorIndex",
    "WorkerPool",
    "load_system",
]
