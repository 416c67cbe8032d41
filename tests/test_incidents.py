"""Incidents: what each comes to, how overlaps combine, and what does not fit a system."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from streamflow_env.episode import Announcement, ChangeKind
from streamflow_env.errors import ConfigError
from streamflow_env.incidents import BaseIncident, Effect, Extra, Incident, Outbreak, changes_of
from streamflow_env.system import System, load_system
from streamflow_env.system.schema import parse


class Holder(BaseModel):
    incident: Incident


def incident(**data: Any) -> BaseIncident:
    return parse(Holder, {"incident": {"start_s": 100, "duration_s": 60, **data}}, "test").incident


def sample(seed: int = 0, **data: Any) -> Outbreak:
    return incident(**data).sample(np.random.default_rng(seed))


def drop(**data: Any) -> dict[str, Any]:
    return {
        "kind": "content_drop", "cache": "cache", "items_class": "ingest", "start_s": 100, "num_items": [500, 1500],
        "spread_s": 600, "invalidate_fraction": [0.9, 1.0], **data,
    }  # fmt: skip


def campaign(**data: Any) -> dict[str, Any]:
    return {
        "kind": "campaign", "messages_class": "push", "opens_class": "feed", "start_s": 600, "num_messages": 50_000,
        "spread_s": 300, "open_fraction": 0.1, "opens_delay_s": 30, "opens_spread_s": 500, "announced_s": 400, **data,
    }  # fmt: skip


def happening(data: dict[str, Any], seed: int = 0) -> Outbreak:
    return parse(Holder, {"incident": data}, "test").incident.sample(np.random.default_rng(seed))


SLOWDOWN: dict[str, Any] = {"kind": "slowdown", "service": "auth", "factor": [6, 9]}
DEGRADATION: dict[str, Any] = {
    "kind": "llm_degradation", "service": "llm", "quota_factor": 0.25, "latency_factor": 2.0, "retry_after_s": 3,
}  # fmt: skip


def changes(*effects: Effect, zero_s: float = 0.0, horizon_s: float = 1000.0) -> list[tuple[float, str, str, float]]:
    return [(c.at_ns / 1e9, c.service, c.kind, c.value) for c in changes_of(effects, zero_s, horizon_s)]


def slow(value: float, start_s: float, end_s: float, service: str = "a") -> Effect:
    return Effect(service, "slowdown_factor", value, start_s, end_s)


def test_a_slowdown_with_its_warning_sign() -> None:
    outbreak = sample(**SLOWDOWN, precursor={"lead_s": 30, "factor": 1.2})
    sign, effect = outbreak.effects
    assert sign == Effect("auth", "slowdown_factor", 1.2, 70.0, 100.0)
    assert (effect.kind, effect.start_s, effect.end_s) == ("slowdown_factor", 100.0, 160.0)
    assert 6 <= effect.value <= 9
    assert [mark.label for mark in outbreak.marks] == [
        "warning sign: auth 1.2x slower",
        f"auth {effect.value:.1f}x slower",
    ]


def test_a_warning_sign_does_not_reach_into_the_warm_up() -> None:
    assert sample(**SLOWDOWN, precursor={"lead_s": 300, "factor": 1.2}).effects[0].start_s == 0.0
    outbreak = sample(**{**SLOWDOWN, "start_s": 0}, precursor={"lead_s": 300, "factor": 1.2})
    assert len(outbreak.effects) == len(outbreak.marks) == 1


def test_an_llm_degradation_changes_three_things_together() -> None:
    outbreak = sample(**DEGRADATION)
    assert {(e.kind, e.value) for e in outbreak.effects} == {
        ("quota_factor", 0.25),
        ("slowdown_factor", 2.0),
        ("retry_after_s", 3.0),
    }
    assert {(e.service, e.start_s, e.end_s) for e in outbreak.effects} == {("llm", 100.0, 160.0)}


def test_a_content_drop_invalidates_and_brings_items() -> None:
    drops = [happening(drop(), seed) for seed in range(200)]
    numbers = [extra.num_requests for outbreak in drops for extra in outbreak.extras]
    fractions = [effect.value for outbreak in drops for effect in outbreak.effects]
    assert 500 <= min(numbers) < 520 < 1480 < max(numbers) <= 1500
    assert 0.9 <= min(fractions) < max(fractions) <= 1.0
    (extra,) = drops[0].extras
    assert (extra.request_class, extra.start_s, extra.end_s) == ("ingest", 100.0, 700.0)


def test_a_campaign_sends_messages_and_some_recipients_come() -> None:
    outbreak = happening(campaign())
    assert outbreak.extras == (
        Extra("push", 50_000, 600.0, 900.0),
        Extra("feed", 5_000, 630.0, 1130.0, shape="burst"),
    )
    assert outbreak.announcements == (Announcement(200.0, 600.0, 1130.0, 10.0),)
    assert [mark.label for mark in outbreak.marks] == [
        "campaign, 50000 messages",
        "campaign, 5000 opens of 5000 planned",
    ]
    assert outbreak.effects == ()
    messages, _ = happening(campaign(messages_per_request=15)).extras
    assert messages.num_requests == 3334  # rounded up


def test_the_plan_is_announced_and_not_what_comes_of_it() -> None:
    outbreaks = [happening(campaign(noise=[0.6, 1.4]), seed) for seed in range(200)]
    opens = [outbreak.extras[1].num_requests for outbreak in outbreaks]
    assert 3000 <= min(opens) < 3100 < 6900 < max(opens) <= 7000
    assert {outbreak.announcements[0].expected_rps for outbreak in outbreaks} == {10.0}
    assert {outbreak.extras[0].num_requests for outbreak in outbreaks} == {50_000}
    assert happening(campaign(noise=0)).extras[1].num_requests == 0


def test_a_campaign_is_over_with_its_last_message_or_its_last_open() -> None:
    (announcement,) = happening(campaign(spread_s=900)).announcements
    assert announcement.end_s == 1500.0


@pytest.mark.parametrize("shape", ["even", "burst"])
def test_all_of_an_extra_come_within_its_time(shape: Any) -> None:
    extra = Extra("feed", 1000, 100.0, 200.0, shape)
    come = extra.come(np.array([0.0, 100.0, 120.0, 200.0, 300.0]))
    assert come == pytest.approx([0.0, 0.0, 200.0, 1000.0, 1000.0])
    steps = np.diff(extra.come(np.arange(0.0, 301.0)))
    assert (steps >= 0).all()
    assert steps.sum() == pytest.approx(1000)
    if shape == "even":
        assert steps[100:200] == pytest.approx(10.0)
        return
    assert int(steps.argmax()) in (119, 120)
    assert steps.max() == pytest.approx(20.0, rel=0.05)
    assert (np.diff(steps[100:120]) > 0).all()
    assert (np.diff(steps[121:200]) < 0).all()


def test_an_effect_comes_and_goes() -> None:
    expected = [(110.0, "a", "slowdown_factor", 3.0), (160.0, "a", "slowdown_factor", 1.0)]
    assert changes(slow(3.0, 100, 150), zero_s=10.0) == expected


def test_factors_of_overlapping_effects_multiply() -> None:
    course = [(at, value) for at, _, _, value in changes(slow(3.0, 100, 200), slow(2.0, 150, 250), slow(1.1, 0, 300))]
    assert course == [
        (0.0, 1.1),
        (100.0, pytest.approx(3.3)),
        (150.0, pytest.approx(6.6)),
        (200.0, pytest.approx(2.2)),
        (250.0, 1.1),
        (300.0, 1.0),
    ]


def test_effects_that_follow_each_other_hand_over_without_a_healthy_instant() -> None:
    course = changes(slow(1.2, 0, 100), slow(3.0, 100, 200))
    assert [(at, value) for at, _, _, value in course] == [(0.0, 1.2), (100.0, 3.0), (200.0, 1.0)]


def test_quotas_multiply_and_the_longest_retry_after_holds() -> None:
    kinds: tuple[tuple[ChangeKind, float, float], ...] = (("quota_factor", 0.5, 0.2), ("retry_after_s", 1.0, 4.0))
    for kind, first, second in kinds:
        course = changes(Effect("llm", kind, first, 0, 100), Effect("llm", kind, second, 50, 80))
        both, healthy = (0.1, 1.0) if kind == "quota_factor" else (4.0, 0.0)
        assert [(at, value) for at, _, _, value in course] == [(0, first), (50, both), (80, first), (100, healthy)]


def test_services_do_not_combine_with_each_other() -> None:
    course = changes(slow(2.0, 100, 200, "a"), slow(3.0, 50, 150, "b"))
    assert [(at, service, value) for at, service, _, value in course] == [
        (50.0, "b", 3.0), (100.0, "a", 2.0), (150.0, "b", 1.0), (200.0, "a", 1.0),
    ]  # fmt: skip


def test_invalidations_are_instants_of_which_the_largest_counts() -> None:
    effects = [Effect("cache", "invalidate_fraction", value, at, at) for value, at in ((0.5, 10), (0.9, 10), (0.3, 20))]
    assert [(at, value) for at, _, _, value in changes(*effects)] == [(10.0, 0.9), (20.0, 0.3)]


def test_what_comes_after_the_end_is_left_out() -> None:
    assert [at for at, *_ in changes(slow(3.0, 990, 1010), slow(2.0, 1000, 1100))] == [990.0]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b"]), st.sampled_from([0.5, 1.2, 3.0, 7.0]), st.integers(0, 50), st.integers(1, 50)
        ),
        max_size=8,
    )
)
def test_at_every_instant_the_product_of_what_is_active_is_in_force(drawn: list[tuple[str, float, int, int]]) -> None:
    effects = [slow(value, start, start + length, service) for service, value, start, length in drawn]
    course = changes(*effects)
    assert [at for at, *_ in course] == sorted(at for at, *_ in course)
    for service in ("a", "b"):
        for instant in np.arange(0.5, 101):
            active = [e.value for e in effects if e.service == service and e.start_s <= instant < e.end_s]
            in_force = [value for at, of, _, value in course if of == service and at <= instant]
            assert (in_force[-1] if in_force else 1.0) == pytest.approx(np.prod(active))


@pytest.fixture(scope="module")
def system() -> System:
    return load_system("streamflow")


@pytest.mark.parametrize("data", [SLOWDOWN, DEGRADATION])
def test_what_fits_the_system_passes(system: System, data: dict[str, Any]) -> None:
    incident(**data).check(system)


@pytest.mark.parametrize("data", [drop(), campaign()])
def test_what_brings_requests_and_fits_passes(system: System, data: dict[str, Any]) -> None:
    parse(Holder, {"incident": data}, "test").incident.check(system)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({**SLOWDOWN, "service": "nope"}, "service = 'nope': must be a service of the system: gateway, "),
        ({**DEGRADATION, "service": "auth"}, "service = 'auth': must be a service of kind llm_endpoint .*: llm"),
    ],
)
def test_a_service_that_is_not_there_is_named(system: System, data: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        incident(**data).check(system)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (drop(cache="auth"), "cache = 'auth': must be a service of kind cache of the system: cache"),
        (drop(items_class="feed"), "items_class = 'feed': must be a background class of the system: ingest, push"),
        (campaign(messages_class="feed"), "messages_class = 'feed': must be a background class .*: ingest, push"),
        (campaign(opens_class="push"), "opens_class = 'push': must be an interactive class of the system: feed, title"),
        (campaign(opens_class="nope"), "opens_class = 'nope': must be an interactive class of the system: feed, title"),
    ],
)
def test_requests_of_a_class_that_is_not_there_are_named(system: System, data: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(Holder, {"incident": data}, "test").incident.check(system)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({**SLOWDOWN, "factor": 0}, r"factor = 0: must be a number in \[0.001, 1000\]"),
        ({**SLOWDOWN, "duration_s": -1}, "duration_s = -1: must be a number above 0"),
        ({**SLOWDOWN, "start_s": -1}, r"start_s = -1: must be a number in \[0, 10000000\] s"),
        ({**SLOWDOWN, "chance": 2}, "chance = 2: must be less than or equal to 1"),
        ({**SLOWDOWN, "precursor": {"lead_s": 1}}, "precursor.factor: required key is missing"),
        ({**SLOWDOWN, "service": 3}, "service = 3: must be a valid string"),
        ({**SLOWDOWN, "sevrice": "auth"}, "sevrice: unknown key"),
        ({**DEGRADATION, "quota_factor": 1.5}, r"quota_factor = 1.5: must be a number in \[0, 1\]"),
        ({**drop(num_items=1.5)}, r"num_items = 1.5: must be a whole number in \[1, 1000000000\]"),
        ({**drop(num_items=0)}, r"num_items = 0: must be a whole number in \[1, 1000000000\]"),
        ({**drop(invalidate_fraction=[0.9, 1.1])}, r"invalidate_fraction: \[0.9, 1.1\] must be a number in \[0, 1\]"),
        (campaign(num_messages=0), r"num_messages = 0: must be a whole number in \[1, 1000000000\]"),
        (campaign(open_fraction=1.1), r"open_fraction = 1.1: must be a number in \[0, 1\]"),
        (campaign(spread_s=0), "spread_s = 0: must be a number above 0"),
        (campaign(opens_spread_s=0), "opens_spread_s = 0: must be a number above 0"),
        (campaign(opens_delay_s=-1), r"opens_delay_s = -1: must be a number in \[0, 10000000\] s"),
        (campaign(announced_s=[300, 100]), r"announced_s: \[300, 100\] must be .* low <= high"),
        (campaign(noise=-0.5), r"noise = -0.5: must be a number in \[0, 1000\]"),
        (campaign(messages_per_request=0), "messages_per_request = 0: must be greater than or equal to 1"),
        (campaign(size=3), "size: unknown key"),
        ({"kind": "explosion"}, "'explosion' .* 'slowdown', 'llm_degradation', 'content_drop', 'campaign'"),
    ],
)
def test_what_is_wrong_is_named(data: dict[str, Any], message: str) -> None:
    lasts = {} if data["kind"] in ("content_drop", "campaign") else {"duration_s": 1}
    with pytest.raises(ConfigError, match=f"^test: incident.*{message}"):
        parse(Holder, {"incident": {"start_s": 1, **lasts, **data}}, "test")
