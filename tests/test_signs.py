"""Deployments, warning signs that are missing, and campaigns that nobody announced."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from streamflow_env.episode import Episode
from streamflow_env.errors import ConfigError
from streamflow_env.scenarios import Timeline, load_scenario
from streamflow_env.system import load_system

SYSTEM = load_system()
SEEDS = range(150)
SLOW: dict[str, Any] = {
    "kind": "slowdown", "service": "auth", "start_s": 300, "duration_s": 60, "factor": [4, 8],
}  # fmt: skip
SIGN: dict[str, Any] = {"lead_s": 100, "factor": 1.2}
CAMPAIGN: dict[str, Any] = {
    "kind": "campaign", "messages_class": "push", "opens_class": "feed", "start_s": [200, 300], "num_messages": 20_000,
    "spread_s": 100, "open_fraction": 0.1, "opens_delay_s": 30, "opens_spread_s": 200, "announced_s": [50, 150],
}  # fmt: skip
DEPLOYMENT: dict[str, Any] = {
    "kind": "deployment", "services": ["auth", "engine"], "start_s": [100, 200], "factor": [0.7, 1.4],
}  # fmt: skip


def scenario(*incidents: dict[str, Any]) -> Timeline:
    traffic = {"kind": "ramps", "level": 1.0}
    found = load_scenario({"name": "test", "horizon_s": 600, "traffic": traffic, "incidents": list(incidents)})
    assert isinstance(found, Timeline)
    return found


def episode(*incidents: dict[str, Any], seed: int = 0) -> Episode:
    return scenario(*incidents).episode(SYSTEM, seed)


def changes(found: Episode) -> list[tuple[float, str, float]]:
    return [(c.at_ns / 1e9 - SYSTEM.warmup_s, c.service, c.value) for c in found.changes]


def test_a_deployment_lasts_to_the_end_of_the_episode() -> None:
    found = [episode(DEPLOYMENT, seed=seed) for seed in SEEDS]
    assert {change.service for e in found for change in e.changes} == {"auth", "engine"}
    factors = np.array([change.value for e in found for change in e.changes])
    assert len(factors) == len(SEEDS)  # it begins and does not end
    assert 0.7 <= factors.min() < 0.75
    assert 1.35 < factors.max() <= 1.4
    for e in found:
        ((at_s, service, value),) = changes(e)
        (mark,) = e.marks
        assert 100 <= at_s <= 200
        assert mark.start_s == pytest.approx(at_s)
        assert mark.end_s == 600.0
        assert mark.label == f"new version: {service} takes {value:.2f}x"


def test_a_deployment_and_a_slowdown_multiply() -> None:
    deployed = {**DEPLOYMENT, "services": ["auth"], "start_s": 100, "factor": 1.5}
    found = changes(episode(deployed, {**SLOW, "factor": 4}))
    assert found == [(100.0, "auth", 1.5), (300.0, "auth", 6.0), (360.0, "auth", 1.5)]


def test_a_deployment_must_fit_the_system() -> None:
    with pytest.raises(ConfigError, match="services = 'nobody': must be a service of the system"):
        episode({**DEPLOYMENT, "services": ["auth", "nobody"]})
    with pytest.raises(ConfigError, match=r"services: .*at least 1"):
        episode({**DEPLOYMENT, "services": []})


def test_a_warning_sign_may_be_missing_and_the_incident_is_the_same() -> None:
    always, sometimes = {**SLOW, "precursor": SIGN}, {**SLOW, "precursor": {**SIGN, "chance": 0.6}}
    signed = 0
    for seed in SEEDS:
        whole, found = changes(episode(always, seed=seed)), changes(episode(sometimes, seed=seed))
        assert len(whole) == 3
        assert found in (whole, whole[1:])
        signed += found == whole
    assert 0.45 < signed / len(SEEDS) < 0.75


def test_a_campaign_may_come_unannounced() -> None:
    told = 0
    for seed in SEEDS:
        usual = episode(CAMPAIGN, seed=seed)
        found = episode({**CAMPAIGN, "announced_chance": 0.6}, seed=seed)
        assert usual.announcements
        assert found.announcements in ((), usual.announcements)
        np.testing.assert_array_equal(found.rates_rps, usual.rates_rps)
        assert found.marks == usual.marks
        told += bool(found.announcements)
    assert 0.45 < told / len(SEEDS) < 0.75


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_what_has_no_sign_cannot_be_foreseen(chance: float) -> None:
    """In a variation of an episode, an incident without a sign is another one; whether it has one stays."""
    timeline = scenario({**SLOW, "precursor": {**SIGN, "chance": chance}}, {**CAMPAIGN, "announced_chance": chance})
    for seed in range(20):
        own = timeline.episode(SYSTEM, seed)
        others = [timeline.variation(SYSTEM, seed, noise_seed) for noise_seed in (100, 101)]
        has_sign = len(own.changes) == 3
        assert all((other.changes == own.changes) == has_sign for other in others)
        assert all(len(other.changes) == len(own.changes) for other in others)
        assert all(other.announcements == own.announcements for other in others)
        assert all((other.marks == own.marks) == (has_sign and bool(own.announcements)) for other in others)
