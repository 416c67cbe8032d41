"""The reference engine: docs/model.md in SimPy, one process per attempt. Written to be read; slow.

| module | what of docs/model.md |
|---|---|
| `simulation` | time, order, wake-ups |
| `attempt` | an attempt: entry, plan, end, deadline, retry |
| `plan` | the steps of a plan |
| `pools` | worker pools, CPU, replicas |
| `calls`, `breaker` | calls, circuit breaker |
| `endpoints` | what a call queries: LLM endpoint, vector index, database |
| `cache`, `consumer` | cache, consumers |
| `service` | what all services have: counters, integrals, visits |
| `engine` | putting it together: reset, step, telemetry |
"""

from streamflow_env.engines.reference.engine import ReferenceEngine

__all__ = ["ReferenceEngine"]
