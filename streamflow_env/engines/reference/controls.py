"""How controls are put in force: a field of a configuration is replaced, or a setter does what else is needed.

Services and calls read their configuration whenever they use it, so a new value has an effect from then on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from streamflow_env.engines.reference.cache import Cache
from streamflow_env.engines.reference.calls import Call
from streamflow_env.engines.reference.database import Database
from streamflow_env.engines.reference.llm import LlmEndpoint
from streamflow_env.engines.reference.pools import WorkerPool
from streamflow_env.engines.reference.service import Service
from streamflow_env.engines.reference.vector_index import VectorIndex
from streamflow_env.system import Control

SPECIAL: Final[dict[str, Callable[[Any, Any], None]]] = {
    "replicas": WorkerPool.set_replicas,
    "read_replicas": Database.set_read_replicas,
    "invalidation_rate_keys_per_s": Cache.set_invalidation_rate,
    "breaker_threshold_fraction": Call.set_breaker_threshold,
    "rate_limit_rps": WorkerPool.set_rate_limit,
    "admission_reserve_fraction": WorkerPool.set_admission_reserve,
    "background_share_fraction": LlmEndpoint.set_background_share,
    "query_ttl_s": VectorIndex.set_query_ttl,
    "memory_entries": Cache.set_memory,
    "retry_budget_fraction": Call.set_retry_budget,
}
"""The setters, called with owner and value, of parameters for which a field of the configuration is not enough."""


def put_in_force(owner: Service | Call, control: Control, natural: float) -> None:
    """From now on the parameter that `control` sets of `owner` has the value `natural`, in natural units."""
    value: float | None = int(natural) if control.is_integer else natural
    if control.off_at_high and natural >= control.high:
        value = None
    setter = SPECIAL.get(control.parameter)
    if setter is not None:
        setter(owner, value)
    else:
        owner.config = owner.config.model_copy(update={control.parameter: value})
