"""The reference engine: it builds the simulation of an episode, runs it by control intervals, and measures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamflow_env import system as config
from streamflow_env.engines.draws.arrivals import Arrivals
from streamflow_env.engines.draws.distributions import to_ns
from streamflow_env.engines.reference.attempt import Attempt, Intent
from streamflow_env.engines.reference.cache import Cache
from streamflow_env.engines.reference.calls import Call
from streamflow_env.engines.reference.classes import RequestClass
from streamflow_env.engines.reference.clients import Clients
from streamflow_env.engines.reference.consumer import Consumer
from streamflow_env.engines.reference.controls import put_in_force
from streamflow_env.engines.reference.database import Database
from streamflow_env.engines.reference.deferred import DeferredQueue
from streamflow_env.engines.reference.llm import LlmEndpoint
from streamflow_env.engines.reference.plan import PlanBuilder
from streamflow_env.engines.reference.pools import WorkerPool
from streamflow_env.engines.reference.service import Service
from streamflow_env.engines.reference.simulation import CHANGE, Simulation
from streamflow_env.engines.reference.vector_index import VectorIndex
from streamflow_env.engines.telemetry import ANSWER, CALL, CLASS, SERVICE, VISIT, Telemetry
from streamflow_env.engines.warm_start import WarmState, warm_state
from streamflow_env.episode import Change, Episode


class ReferenceEngine:
    """Simulates one system with SimPy, one process per attempt. With `log`, telemetry has visits and answers.

    An episode that has a system of its own is simulated with that.
    """

    def __init__(self, system: config.System, *, log: bool = False) -> None:
        self._system = system
        self._log = log
        self._episode: Episode | None = None
        self._past_controls: list[NDArray[np.float64]] = []
        self._running: RunningEpisode | None = None

    def reset(self, episode: Episode) -> Telemetry:
        """Start `episode` in the warm state and simulate the warm-up in the default configuration.

        Returns the telemetry of the last control interval of the warm-up.
        """
        self._episode = episode
        self._past_controls = []
        self._running = RunningEpisode(episode.system or self._system, episode, self._log)
        return self._running.warm_up()

    def step(self, controls: NDArray[np.float64]) -> Telemetry:
        """Put `controls` in force (natural units, shape (num_controls,)) and simulate one control interval.

        Raises RuntimeError before the first `reset`.
        """
        if self._running is None:
            raise RuntimeError("step before reset")
        controls = np.array(controls, dtype=np.float64)
        self._past_controls.append(controls)
        return self._running.simulate_interval(controls)

    def __getstate__(self) -> tuple[Any, ...]:
        """The system, the episode and all controls so far: `__setstate__` simulates it again, with the same result.

        The state itself has generators, which cannot be pickled.
        """
        return self._system, self._log, self._episode, self._past_controls

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        system, log, episode, past_controls = state
        self.__init__(system, log=log)  # type: ignore[misc]
        if episode is not None:
            self.reset(episode)
            for controls in past_controls:
                self.step(controls)


class RunningEpisode:
    """The simulation of one episode. Each call of `simulate_interval` simulates one control interval."""

    def __init__(self, system: config.System, episode: Episode, log: bool) -> None:
        self._system = system
        self._interval_ns = int(to_ns(system.control_interval_s))
        self._sim = Simulation(episode.seed, log)
        warm = warm_state(system, episode.rates_rps[:, 0])
        self._services: dict[str, Service] = {}
        for name in sorted(system.services, key=self._is_deferred_queue):  # after LLM endpoints
            self._services[name] = self._build_service(name, warm)
        self._services = {name: self._services[name] for name in system.services}
        self._calls = {name: self._build_call(policy) for name, policy in system.calls.items()}
        self._classes = [RequestClass(index, interactive) for index, interactive in enumerate(system.interactive)]
        self._plans = [
            PlanBuilder(system, self._services, self._calls).build(class_.plan) for class_ in system.classes.values()
        ]
        entry = self._services[system.users.entry]
        assert isinstance(entry, WorkerPool)
        self._clients = Clients(system.users, system.sla, entry)
        history = (warm.users, warm.seconds)
        self._arrivals = Arrivals(
            episode.seed, episode.rates_rps, episode.bin_ns, system.interactive, system.users, history
        )
        for index, change in enumerate(episode.changes):
            self._schedule_change(index, change)

    def _build_service(self, name: str, warm: WarmState) -> Service:
        sim, index, service = self._sim, self._system.service_names.index(name), self._system.services[name]
        match service:
            case config.WorkerPool():
                return WorkerPool(sim, index, service, self._interval_ns)
            case config.Database():
                return Database(sim, index, service, self._interval_ns)
            case config.VectorIndex():
                return VectorIndex(sim, index, service)
            case config.LlmEndpoint():
                return LlmEndpoint(sim, index, service)
            case config.Cache():
                return Cache(sim, index, service, self._system.users.num_users, warm.entries[name])
            case config.Consumer():
                return Consumer(sim, index, service)
            case config.DeferredQueue():
                llm = self._services[service.to]
                assert isinstance(llm, LlmEndpoint)
                return DeferredQueue(sim, index, service, llm)

    def _is_deferred_queue(self, name: str) -> bool:
        return isinstance(self._system.services[name], config.DeferredQueue)

    def _build_call(self, policy: config.CallPolicy) -> Call:
        deferred = None if policy.deferred is None else self._services[policy.deferred]
        assert deferred is None or isinstance(deferred, DeferredQueue)
        return Call(self._sim, policy, self._services[policy.to], deferred)  # type: ignore[arg-type]

    def _schedule_change(self, index: int, change: Change) -> None:
        service = self._services[change.service]
        event = self._sim.wake(change.at_ns, CHANGE, index)
        event.callbacks.append(lambda _: service.change(change.kind, change.value))

    # Running

    def warm_up(self) -> Telemetry:
        """Simulate the warm-up, in whole control intervals; the telemetry of the last one."""
        default = self._system.control_table.default
        num_intervals = -(-int(to_ns(self._system.warmup_s)) // self._interval_ns)
        if num_intervals == 0:
            return self._measure(0, default)
        return [self.simulate_interval(default) for _ in range(num_intervals)][-1]

    def simulate_interval(self, controls: NDArray[np.float64]) -> Telemetry:
        """Put `controls` in force, send first attempts, run to the end of the interval, and measure."""
        start_ns = self._sim.now
        end_ns = start_ns + self._interval_ns
        for control, value in zip(self._system.controls, controls.tolist(), strict=True):
            owner = self._calls[control.of] if control.sets.is_of_call else self._services[control.of]
            put_in_force(owner, control, value)
        self._send_first_attempts(end_ns)
        self._sim.run(until=end_ns)
        return self._measure(start_ns, controls)

    def _send_first_attempts(self, end_ns: int) -> None:
        """Send the first attempts that reach the system before `end_ns`."""
        sent_before_ns = max(0, end_ns - self._clients.network_ns)
        for sent_ns, request, user, class_, premium in self._arrivals.until(sent_before_ns).tolist():
            intent = Intent(request, user, premium, self._classes[class_], self._plans[class_])
            self._sim.process(Attempt(self._sim, self._clients, intent, 0, sent_ns).run())

    def _measure(self, start_ns: int, controls: NDArray[np.float64]) -> Telemetry:
        sim, services = self._sim, list(self._services.values())
        visits, sim.visits = sim.visits, []
        answers, sim.answers = sim.answers, []
        return Telemetry(
            start_ns=start_ns,
            end_ns=sim.now,
            services=_records([service.measure() for service in services], SERVICE),
            classes=np.stack([_records(class_.measure(), CLASS) for class_ in self._classes]),
            calls=_records([call.measure() for call in self._calls.values()], CALL),
            sojourn=np.array([service.measure_sojourn() for service in services], dtype=np.int32),
            response=np.array([class_.measure_response() for class_ in self._classes], dtype=np.int32),
            controls=controls.copy(),
            visits=np.array(visits, dtype=VISIT),
            answers=np.array(answers, dtype=ANSWER),
        )


def _records(counts: list[dict[str, int]], dtype: np.dtype[Any]) -> NDArray[Any]:
    return np.array([tuple(count.values()) for count in counts], dtype=dtype)
