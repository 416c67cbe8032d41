"""A small system that has everything: every kind of service, and whatever the rules look at."""

from __future__ import annotations

from streamflow_env.system import System, load_system

POOL = {"kind": "worker_pool", "queue_limit": 3, "service_time": {"mean_s": 0.02, "cv": 0.5}}
BREAKER = {"window_size": 10, "minimum_calls": 5, "slow_call_s": 0.3, "open_s": 1.0, "half_open_calls": 2}


def small_system() -> System:
    """No warm-up, so that all is seen from the beginning."""
    return load_system(
        {
            "name": "small",
            "control_interval_s": 2.0,
            "warmup_s": 0.0,
            "sla": {"target_s": 0.1, "worst_s": 0.5},
            "users": {
                "num_users": 40, "popularity_exponent": 0.5, "num_items": 10, "return_fraction": 0.3,
                "return_gap_s": 2.0, "lookback_s": 5, "premium_fraction": 0.4, "entry": "door", "network_s": 0.01,
                "deadline_s": 0.4, "retry_fraction": 0.8, "max_retries": 2, "think_time_s": 0.2,
                "retry_budget_fraction": 0.9, "retry_budget_cap": 5,
            },
            "services": {
                "door": POOL | {"replicas": 1, "workers_per_replica": 20, "serves_abandoned": False,
                                "rate_limit_rps": 30},
                "store": {"kind": "cache", "lookup_time": {"mean_s": 0.003}, "ttl_s": 5.0, "memory_entries": 12},
                "desk": POOL
                | {"replicas": 1, "workers_per_replica": 3, "cores_per_replica": 1, "waiting_limit_s": 0.3,
                   "startup_delay_s": 1.0, "removal_hold_s": 0.0,
                   "fault_fraction": 0.1},
                "book": {"kind": "database", "connections": 1, "queue_limit": 1, "read_replicas": 1,
                         "service_time": {"mean_s": 0.05, "cv": 1.0}, "replication_lag_s": 1.0, "write_gap_s": 2.0},
                "index": {"kind": "vector_index", "base_latency_s": 0.02, "saturated_latency_s": 0.3,
                          "knee_in_flight": 2.0, "query_ttl_s": 1.0, "query_entries": 4},
                "brain": {"kind": "llm_endpoint", "quota_per_minute": 120, "burst": 4, "floor_latency_s": 0.05,
                          "tail": {"mean_s": 0.1, "cv": 1.0}, "rejection_time_s": 0.01},
                "later": {"kind": "deferred_queue", "to": "brain", "queue_limit": 3, "workers": 2, "poll_s": 0.2},
                "mail": {"kind": "consumer", "queue_limit": 3, "batch_size": 2, "batch_time": {"mean_s": 0.4}},
            },
            "calls": {
                "read": {"to": "book"},
                "find": {"to": "index", "cacheable": True, "timeout_s": 0.1, "exhausted_quality": 0.5},
                "think": {"to": "brain", "max_attempts": 3, "backoff_base_s": 0.05, "fallback_quality": 0.6,
                          "ask_fraction": 0.8, "fallback_fraction": 0.3, "exhausted_quality": 0.2,
                          "retry_budget_fraction": 0.2,
                          "deferred": "later", "defer_fraction": 0.7, "breaker": BREAKER},
            },
            "classes": {
                "ask": {
                    "kind": "interactive",
                    "normal_rate_rps": 12.0,
                    "plan": [
                        {"lookup": "store", "on_miss": [
                            {"call": "desk", "holding": [
                                {"compute": {"mean_s": 0.02, "cv": 0.5}}, {"query": "find"}, {"query": "think"}]},
                            {"query": "read"}, {"fill": "store"}]},
                        {"lookup": "store", "key": "item", "on_miss": [{"fill": "store", "key": "item"}]},
                        {"emit": "mail"},
                    ],
                },
                "tidy": {"kind": "background", "normal_rate_rps": 1.0, "plan": [{"call": "desk"}, {"query": "read"}]},
            },
            "controls": [
                {"name": "desks", "of": "desk", "parameter": "replicas", "low": 1, "high": 4,
                 "meaning": "-"},
                {"name": "trip", "of": "think", "parameter": "breaker_threshold_fraction", "low": 0.3,
                 "high": 1.0, "off_at_high": True, "meaning": "-"},
            ],
        }
    )  # fmt: skip
