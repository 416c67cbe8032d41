"""Random systems: every kind of service, plan and control that the system file allows, its extremes included.

A system is a function of the numbers that `rng` hands out alone, so a seed says which. It is built as plain data and
read by `load_system`, as a file would be.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from typing import Any, Final

from streamflow_env.system import System, load_system
from streamflow_env.system.parameters import PARAMETERS, Parameter
from streamflow_env.system.system import MAX_HELD
from studies.accounting.random_services import SERVICES, breaker, duration, part, random_call, some, worker_pool

Data = dict[str, Any]

REQUESTS_A_STEP: Final = 12.0
"""Most first attempts of users that a control interval brings at normal load; keeps a step cheap."""
WIDEST_RATIO: Final = 1e12
"""Of high to low, on a logarithmic scale."""
NUMBERS: Final = {"worker_pool": [0, 1, 1, 2, 3], "database": [0, 1, 1, 2, 3], "cache": [0, 1, 1, 1, 2]}
"""How many of a kind a system has, the entry aside; each as likely."""
SELDOM: Final = 0.1
"""How often nobody comes of a class, or hardly any answer comes before the deadline: more would hide the rest."""
MOST_STEPS: Final = 14
"""Steps of one plan."""
RECALLED_S: Final = 60.0
"""Longest time to live and look-back: what a warm start has to walk through."""


def random_system(seed: int) -> System:
    """The random system number `seed`."""
    return load_system(random_data(random.Random(seed)))


def random_data(rng: random.Random) -> Data:
    """A random system as the content of a system file."""
    interval_s = rng.choice([0.1, 0.5, 1.0, 3.0, 7.0])
    services = _services(rng)
    calls = _calls(rng, services)
    classes = _classes(rng, services, calls, interval_s)
    users = _users(rng)
    target_s = some(rng, 0.01, 1.0)
    data: Data = {
        "name": "random",
        "control_interval_s": interval_s,
        "warmup_s": rng.choice([0.0, 0.0, 0.6, 1.0]) * interval_s,
        "sla": {"target_s": target_s, "worst_s": target_s * some(rng, 1.001, 10.0)},
        "users": users,
        "services": services,
        "calls": calls,
        "classes": classes,
        "llm_price_per_request": some(rng, 0.001, 0.1, 0.0),
    }
    data["controls"] = _controls(rng, data)
    return data


def _services(rng: random.Random) -> Data:
    """The entry, and none, one or more of every kind, in any order."""
    entry = worker_pool(rng) | {"serves_abandoned": False, "admission_reserve_fraction": some(rng, 0.1, 1.0, 0.0, 1.0)}
    if rng.random() < 0.5:
        entry["rate_limit_rps"] = rng.choice([1, 2, 10, 50])
    services: Data = {"entry": entry}
    for kind, build in SERVICES.items():
        for number in range(rng.choice(NUMBERS.get(kind, [0, 1, 1, 2]))):
            services[f"{kind}_{number}"] = build(rng)
    llms = _of_kind(services, "llm_endpoint")
    for number in range(rng.choice([0, 1, 1, 2]) if llms else 0):
        services[f"deferred_{number}"] = {
            "kind": "deferred_queue",
            "to": rng.choice(llms),
            "queue_limit": rng.choice([1, 2, 20]),
            "workers": rng.choice([1, 2, 8]),
            "poll_s": some(rng, 0.02, 2.0),
        }
    names = list(services)
    rng.shuffle(names)
    return {name: services[name] for name in names}


def _of_kind(services: Data, *kinds: str) -> list[str]:
    return [name for name, service in services.items() if service["kind"] in kinds]


def _calls(rng: random.Random, services: Data) -> Data:
    """None to two calls of every service that can be queried."""
    calls: Data = {}
    for to in _of_kind(services, "database", "vector_index", "llm_endpoint"):
        queues = [name for name in _of_kind(services, "deferred_queue") if services[name]["to"] == to]
        for number in range(rng.choice([0, 1, 1, 2])):
            calls[f"ask_{to}_{number}"] = random_call(rng, to, services[to]["kind"], queues)
    return calls


def _users(rng: random.Random) -> Data:
    network_s = some(rng, 0.001, 0.1, 0.0)
    users: Data = {
        "num_users": rng.choice([1, 2, 20, 300, 10**9]),
        "popularity_exponent": some(rng, 0.1, 2.0, 0.0, 1.0),
        "num_items": rng.choice([1, 5, 1000, 10**9]),
        "item_exponent": some(rng, 0.1, 2.0, 0.0, 1.0),
        "return_fraction": some(rng, 0.01, 1.0, 0.0, 1.0),
        "return_gap_s": some(rng, 0.1, RECALLED_S),
        "lookback_s": rng.choice([1, 7, int(RECALLED_S)]),
        "premium_fraction": some(rng, 0.01, 1.0, 0.0, 1.0),
        "entry": "entry",
        "network_s": network_s,
        "deadline_s": network_s + (some(rng, 0.001, 0.1) if rng.random() < SELDOM else some(rng, 0.1, 20.0)),
        "retry_fraction": some(rng, 0.1, 1.0, 0.0, 1.0),
        "max_retries": rng.choice([0, 1, 3, 6]),
        "think_time_s": some(rng, 0.001, 5.0, 0.0),
        "think_time_distribution": rng.choice(["exponential", "full_jitter"]),
    }
    if users["think_time_distribution"] == "full_jitter" and rng.random() < 0.5:
        users["think_cap_s"] = some(rng, 0.001, 10.0)
    if rng.random() < 0.4:
        users |= {"retry_budget_fraction": some(rng, 0.001, 1.0, 0.0), "retry_budget_cap": rng.choice([1, 5, 100])}
    if rng.random() < 0.3:
        users["breaker"] = breaker(rng)
    return users


def _classes(rng: random.Random, services: Data, calls: Data, interval_s: float) -> Data:
    plans = _Plans(rng, services, calls)
    classes: Data = {}
    for number in range(rng.choice([1, 1, 2, 3])):
        rate_rps = _rate_rps(rng, REQUESTS_A_STEP, interval_s)
        classes[f"users_{number}"] = {
            "kind": "interactive", "normal_rate_rps": rate_rps, "plan": plans.plan(interactive=True)
        }  # fmt: skip
    for number in range(rng.choice([0, 1, 2])):
        rate_rps = _rate_rps(rng, REQUESTS_A_STEP / 4, interval_s)
        classes[f"background_{number}"] = {
            "kind": "background", "normal_rate_rps": rate_rps, "plan": plans.plan(interactive=False)
        }  # fmt: skip
    return classes


def _rate_rps(rng: random.Random, most_a_step: float, interval_s: float) -> float:
    """First attempts per second at normal load; seldom none."""
    return 0.0 if rng.random() < SELDOM else some(rng, most_a_step / 30, most_a_step) / interval_s


class _Plans:
    """Writes plans over the services and calls that there are."""

    def __init__(self, rng: random.Random, services: Data, calls: Data) -> None:
        self._rng = rng
        self._services = services
        self._calls = calls
        # a plan may come back to the pool at which it entered, though few will
        pools = _of_kind(services, "worker_pool")
        self._pools = pools if rng.random() < 0.1 else [name for name in pools if name != "entry"]
        self._caches = _of_kind(services, "cache")
        self._consumers = _of_kind(services, "consumer")

    def plan(self, *, interactive: bool) -> list[Data]:
        self._left = MOST_STEPS
        self._interactive = interactive
        first = [self._lookup(None, 0)] if interactive and self._caches and self._rng.random() < 0.5 else []
        return first + self._steps(None, 0)

    def _steps(self, held: str | None, depth: int) -> list[Data]:
        """One to four steps, while a worker of `held` is held and `depth` workers in all."""
        return [self._step(held, depth) for _ in range(self._rng.choice([1, 2, 3, 4]))]

    def _step(self, held: str | None, depth: int) -> Data:
        self._left -= 1
        makers = self._makers(held, depth) or [lambda: {"call": "entry"}]
        return self._rng.choice(makers)()

    def _makers(self, held: str | None, depth: int) -> list[Callable[[], Data]]:
        """What can make a step here."""
        rng = self._rng
        has_cores, calls = self._has_cores(held), self._callable(held)
        makers: list[Callable[[], Data]] = []
        if self._pools and depth < MAX_HELD:
            makers += [lambda: self._call(depth)] * 3
        if calls:
            makers += [lambda: {"query": rng.choice(calls)}] * 3
        if has_cores:
            makers += [lambda: {"compute": duration(rng, 0.03)}] * 3
        if self._caches and self._interactive:
            makers += [lambda: self._lookup(held, depth)] * 4
            makers.append(lambda: {"fill": rng.choice(self._caches), **self._key()})
        if self._caches:
            makers.append(lambda: {"invalidate": rng.choice(self._caches)})
        if self._consumers:
            makers.append(lambda: {"emit": rng.choice(self._consumers)})
        return makers

    def _has_cores(self, held: str | None) -> bool:
        return held is not None and self._services[held]["cores_per_replica"] > 0

    def _callable(self, held: str | None) -> list[str]:
        return [name for name, call in self._calls.items() if self._has_cores(held) or "attempt_cpu" not in call]

    def _call(self, depth: int) -> Data:
        pool = self._rng.choice(self._pools)
        nested = self._left > 0 and self._rng.random() < 0.7 and bool(self._makers(pool, depth + 1))
        return {"call": pool, "holding": self._steps(pool, depth + 1) if nested else []}

    def _lookup(self, held: str | None, depth: int) -> Data:
        cache, key = self._rng.choice(self._caches), self._key()
        nested = self._steps(held, depth) if self._left > 0 and self._rng.random() < 0.7 else []
        if self._rng.random() < 0.7:
            calls = self._callable(held)
            if calls and self._rng.random() < 0.5:
                nested.append({"query": self._rng.choice(calls)})
            nested.append({"fill": cache, **key})
        return {"lookup": cache, **key, "on_miss": nested}

    def _key(self) -> Data:
        return {"key": self._rng.choice(["user", "user", "item"])}


def _controls(rng: random.Random, data: Data) -> list[Data]:
    """Half of what can be controlled, at least one thing."""
    always = PARAMETERS["replicas"], "entry", float(data["services"]["entry"]["replicas"])
    system = load_system({**data, "controls": [_control(random.Random(0), *always)]})
    chosen = [target for target in _controllable(system) if rng.random() < 0.5] or [always]
    return [_control(rng, *target) for target in chosen]


def _controllable(system: System) -> Iterator[tuple[Parameter, str, float | None]]:
    """Each parameter of each owner that a control can set, with its default value; None where that is off."""
    for parameter in PARAMETERS.values():
        for of, owner in system.owners(parameter).items():
            default = parameter.default(owner) if parameter.obstacle(system, of) is None else math.nan
            if default is None or parameter.least <= default <= parameter.most:
                yield parameter, of, default


def _control(rng: random.Random, parameter: Parameter, of: str, default: float | None) -> Data:
    """A control of that parameter, whose range holds the default value."""
    least, most = parameter.least, parameter.most
    is_off = default is None
    middle = default if default is not None else (least if parameter.name.endswith("fraction") else max(least, 1.0))
    low = rng.choice([least, middle, part(rng, middle)])
    high = most if most <= 1 else rng.choice([middle + 1, middle * 3 + 1, middle * 10 + 1])
    if parameter.whole:
        low, high = float(int(low)), float(int(high))
    low, high = max(least, min(low, middle)), min(most, high)
    if low >= high:
        low = least
    scale = rng.choice(["linear", "log"]) if low > high / WIDEST_RATIO else "linear"
    can_be_off = is_off or (parameter.can_be_off and rng.random() < 0.5)
    return {
        "name": f"{parameter.name} of {of}", "of": of, "parameter": parameter.name, "low": low, "high": high,
        "scale": scale, "off_at_high": can_be_off, "meaning": "-",
    }  # fmt: skip
