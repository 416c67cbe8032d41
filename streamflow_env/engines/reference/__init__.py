"""The reference engine: docs/model.md in SimPy, one process per attempt. Written to be read; slow.

| module | what of docs/model.md |
|---|---|
| `simulation` | time, order, wake-ups |
| `attempt` | an attempt: entry, plan, end, deadline, retry |
| `plan` | the steps of a plan |
| `pools`, `admission` | worker pools, CPU, patience; admission control |
| `servers` | replicas, of pools and of databases, and who waits for a worker, core or connection |
| `calls`, `breaker` | calls, retry budget; circuit breaker |
| `remote`, `llm`, `tokens` | what a call queries: LLM endpoint and its token bucket |
| `vector_index`, `database` | vector index and its query cache, database and its stale reads |
| `cache`, `memory`, `sweep` | cache; its slots and who gives way; bulk invalidation |
| `deferred`, `consumer` | deferred queues; consumers |
| `service` | what all services have: counters, integrals, visits |
| `engine` | putting it together: reset, step, telemetry |
"""

from streamflow_env.engines.reference.engine import ReferenceEngine

__all__ = ["ReferenceEngine"]
