"""The reference engine: the model in SimPy, one process per attempt. It is written to be read, and slow.

docs/reference/model.md has the rules. docs/reference/mechanisms.md says which module implements which of them.
`protocols` says how modules see each other where a direct import would make a cycle. From bottom to top, a module
imports only modules before it:

1. `simulation`, `protocols`, `service`
2. `servers`, `admission`, `pools`; `breaker`, `llm_benefit`, `calls`; `eviction`, `invalidation`, `cache`; `consumer`
3. `remote`, `tokens`, `llm`, `vector_index`, `database`, `deferred`
4. `classes`, `clients`, `attempt`, `plan`
5. `engine`
"""

from streamflow_env.engines.reference.engine import ReferenceEngine

__all__ = ["ReferenceEngine"]
