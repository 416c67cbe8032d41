"""Scenarios: the shipped ones hold what they promise, episodes are pure functions, and errors name the culprit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamflow_env.episode import BIN_S, Episode
from streamflow_env.errors import ConfigError
from streamflow_env.scenarios import Timeline, load_scenario, scenario_names
from streamflow_env.system import System, load_system
from tests.shipped_scenarios import HELD_OUT_HOURS, HOURLY, STORM, VARIED, levels, same

CASCADES = ("llm-rate-limit", "invalidation-storm", "retry-storm", "compound")
SEEDS = range(30)
CALM: dict[str, Any] = {"name": "calm", "horizon_s": 600, "traffic": {"kind": "ramps", "level": 1.0}}


@pytest.fixture(scope="module")
def system() -> System:
    return load_system("streamflow")


def at_s(system: System, episode: Episode) -> list[float]:
    return [change.at_ns / 1e9 - system.warmup_s for change in episode.changes]


def test_the_shipped_scenarios() -> None:
    others = {"evening-peak", "mixed", "mixed-without-slow-auth", "trace", "whole-day", "varied", "storm"}
    assert set(scenario_names()) == {*HOURLY, *VARIED, *STORM, *HELD_OUT_HOURS, *others}
    for name in scenario_names():
        scenario = load_scenario(name)
        assert scenario.name == name
        assert scenario.meaning != "no description"
        assert load_scenario(scenario) is scenario


@pytest.mark.parametrize("name", scenario_names())
def test_every_shipped_scenario_gives_valid_episodes(system: System, name: str) -> None:
    scenario = load_scenario(name)
    for seed in SEEDS:
        episode = scenario.episode(system, seed)
        assert episode.seed == seed
        assert 0 <= episode.start_hour < 24
        assert episode.bin_ns == 5_000_000_000
        num_bins = episode.rates_rps.shape[1]
        assert episode.rates_rps.shape == (len(system.class_names), num_bins)
        assert num_bins == (system.warmup_s + episode.horizon_s) / BIN_S
        assert np.isfinite(episode.rates_rps).all()
        assert (episode.rates_rps >= 0).all()
        assert 0.2 < levels(system, episode).min() <= levels(system, episode).max() < 5
        times = [change.at_ns for change in episode.changes]
        assert times == sorted(times)
        assert all(0 <= at < episode.horizon_s for at in at_s(system, episode))
        assert all(0 <= mark.start_s < mark.end_s <= episode.horizon_s for mark in episode.marks)


@pytest.mark.parametrize("name", scenario_names())
def test_a_seed_is_an_episode_and_another_seed_another(system: System, name: str) -> None:
    assert same(load_scenario(name).episode(system, 7), load_scenario(name).episode(system, 7))
    first, second = (load_scenario(name).episode(system, seed) for seed in (7, 8))
    assert first.rates_rps.shape != second.rates_rps.shape or not np.allclose(first.rates_rps, second.rates_rps)


@pytest.mark.parametrize("name", HOURLY)
def test_the_hourly_scenarios_last_an_hour(system: System, name: str) -> None:
    assert load_scenario(name).episode(system, 0).horizon_s == 3600


@pytest.mark.parametrize("name", CASCADES)
def test_the_first_twenty_minutes_of_a_cascade_hold_its_incident(system: System, name: str) -> None:
    for seed in SEEDS:
        episode = load_scenario(name).episode(system, seed)
        strong = [
            at
            for at, change in zip(at_s(system, episode), episode.changes, strict=True)
            if change.kind != "slowdown_factor" or change.value > 1.5
        ]
        assert 300 <= strong[0] <= 720


def test_the_evening_peak_is_as_given(system: System) -> None:
    for seed in SEEDS:
        episode = load_scenario("evening-peak").episode(system, seed)
        level = levels(system, episode)
        held = level[int(7200 / BIN_S) : int(18000 / BIN_S)]
        assert (episode.start_hour, episode.horizon_s) == (18.0, 21600.0)
        assert level[0] < 1.8
        assert held.mean() == pytest.approx(3.0, rel=0.05)
        assert held.min() > 2.5
        assert level[-1] < 2.0


def test_the_peak_hour_reaches_the_peak(system: System) -> None:
    for seed in SEEDS:
        level = levels(system, load_scenario("peak-hour").episode(system, seed))
        assert level[0] < 1.6
        assert level.max() > 2.2


def test_normal_is_normal(system: System) -> None:
    loads = [levels(system, load_scenario("normal").episode(system, seed)) for seed in SEEDS]
    assert np.mean(loads) == pytest.approx(1.0, abs=0.03)
    assert np.max(loads) < 1.2


def opens(system: System, episode: Episode) -> float:
    """First attempts that the episode's campaigns bring, as its pictures say."""
    labels = [mark.label for mark in episode.marks if "opens" in mark.label]
    return sum(int(label.split(", ")[1].split()[0]) for label in labels)


def test_a_campaign_is_large_and_known_minutes_before(system: System) -> None:
    for seed in SEEDS:
        episode = load_scenario("campaign").episode(system, seed)
        level = levels(system, episode)
        assert 1 <= len(episode.announcements) <= 2
        for announcement in episode.announcements:
            assert announcement.known_from_s >= 0
            assert 300 <= announcement.start_s - announcement.known_from_s <= 600
            assert 0.6 <= 2 * announcement.expected_rps / (1.4 * 30) <= 1.2  # at its height, at the middle load
            during = level[int(announcement.start_s / BIN_S) : int(announcement.end_s / BIN_S)]
            assert during.max() > during[0] + 0.4


def test_what_a_campaign_brings_is_its_plan_times_the_noise(system: System) -> None:
    data = load_scenario("campaign").model_dump()
    ratios = []
    for seed in SEEDS:
        with_it = load_scenario(data).episode(system, seed)
        without = load_scenario({**data, "incidents": ()}).episode(system, seed)
        extra = (with_it.rates_rps - without.rates_rps).sum(axis=1) * BIN_S
        assert extra[system.class_names.index("feed")] == pytest.approx(opens(system, with_it))
        assert extra[system.class_names.index("title")] == pytest.approx(0.0)
        assert without.announcements == ()
        messages = sum(int(m.label.split()[1]) for m in with_it.marks if "messages" in m.label)
        assert extra[system.class_names.index("push")] == pytest.approx(messages / 25, abs=2)
        ratios.append(opens(system, with_it) / (0.12 * messages))
    assert 0.6 <= min(ratios) < 0.8 < 1.2 < max(ratios) <= 1.4


@pytest.mark.parametrize(("name", "chance"), [("peak-hour", 0.5), ("evening-peak", 0.7), ("compound", 0.5)])
def test_rushes_often_have_a_campaign(system: System, name: str, chance: float) -> None:
    episodes = [load_scenario(name).episode(system, seed) for seed in range(100)]
    assert sum(bool(episode.announcements) for episode in episodes) / 100 == pytest.approx(chance, abs=0.15)
    assert all(a.start_s < e.horizon_s for e in episodes for a in e.announcements)


def test_announcements_are_in_order_of_their_start(system: System) -> None:
    first = {
        "kind": "campaign", "messages_class": "push", "opens_class": "feed", "num_messages": 100, "spread_s": 10,
        "open_fraction": 0.5, "opens_delay_s": 0, "opens_spread_s": 10, "announced_s": 10,
    }  # fmt: skip
    starts = [{**first, "start_s": start} for start in (300, 100, 200)]
    episode = load_scenario({**CALM, "incidents": starts}).episode(system, 0)
    assert [announcement.start_s for announcement in episode.announcements] == [100.0, 200.0, 300.0]
    with pytest.raises(ConfigError, match=r"incidents.0.campaign.opens_class = 'push': must be an interactive class"):
        load_scenario({**CALM, "incidents": [{**starts[0], "opens_class": "push"}]}).episode(system, 0)


def test_background_classes_do_not_follow_the_users(system: System) -> None:
    ingest = system.class_names.index("ingest")
    rates = load_scenario("evening-peak").episode(system, 0).rates_rps
    assert (rates[ingest] == system.classes["ingest"].normal_rate_rps).all()


def test_during_the_warm_up_the_rates_are_those_of_the_start(system: System) -> None:
    traffic = {"kind": "ramps", "level": 2.0, "ramps": [{"start_s": 0, "duration_s": 100, "level": 1.0}]}
    rates = load_scenario({**CALM, "traffic": traffic}).episode(system, 0).rates_rps[0]
    warm = int(system.warmup_s / BIN_S)
    assert (rates[:warm] == 2.0 * system.classes["feed"].normal_rate_rps).all()
    assert rates[warm] == pytest.approx(1.975 * system.classes["feed"].normal_rate_rps)


def test_a_warm_up_that_is_no_whole_number_of_bins_shifts_them(system: System) -> None:
    odd = system.model_copy(update={"warmup_s": 63.0, "control_interval_s": 21.0})
    drop = {"kind": "content_drop", "cache": "cache", "items_class": "ingest", "start_s": 0, "num_items": 10,
            "spread_s": 4, "invalidate_fraction": 1}  # fmt: skip
    episode = load_scenario({**CALM, "incidents": [drop]}).episode(odd, 0)
    ingest = episode.rates_rps[2] - 0.15
    assert episode.rates_rps.shape[1] == 133
    assert ingest[12:14] * BIN_S == pytest.approx([5.0, 5.0])
    assert episode.changes[0].at_ns == 63_000_000_000


def test_the_items_of_a_drop_all_come(system: System) -> None:
    for seed in SEEDS:
        episode = load_scenario("invalidation-storm").episode(system, seed)
        items = sum(int(mark.label.split(", ")[1].split()[0]) for mark in episode.marks)
        extra = episode.rates_rps[2].sum() * BIN_S - 0.15 * BIN_S * episode.rates_rps.shape[1]
        assert extra == pytest.approx(items)
        assert 500 <= items <= 3000


def test_one_more_incident_changes_nothing_else(system: System) -> None:
    traffic = {"kind": "ramps", "level": [1, 2], "swings": [{"amplitude": [0, 0.1], "period_s": [100, 900]}]}
    slow = {"kind": "slowdown", "service": "auth", "start_s": [0, 300], "duration_s": 60, "factor": [2, 3]}
    other = {**slow, "service": "llm"}
    one = load_scenario({**CALM, "traffic": traffic, "incidents": [slow]}).episode(system, 5)
    two = load_scenario({**CALM, "traffic": traffic, "incidents": [slow, other]}).episode(system, 5)
    assert np.array_equal(one.rates_rps, two.rates_rps)
    assert one.changes == tuple(change for change in two.changes if change.service == "auth")
    assert one.changes[0].value != next(c for c in two.changes if c.service == "llm").value


def test_an_incident_has_its_chance(system: System) -> None:
    slow = {"kind": "slowdown", "service": "auth", "start_s": 0, "duration_s": 60, "factor": 2, "chance": 0.5}
    scenario = load_scenario({**CALM, "incidents": [slow]})
    assert 70 < sum(bool(scenario.episode(system, seed).changes) for seed in range(200)) < 130


def test_overlapping_incidents_combine(system: System) -> None:
    slow = {"kind": "slowdown", "service": "auth", "start_s": 100, "duration_s": 100, "factor": 2}
    scenario = load_scenario({**CALM, "incidents": [slow, {**slow, "start_s": 150, "factor": 3}]})
    assert [change.value for change in scenario.episode(system, 0).changes] == [2.0, 6.0, 3.0, 1.0]


def test_another_system_from_a_dictionary() -> None:
    pool = {"kind": "worker_pool", "replicas": 1, "workers_per_replica": 4, "queue_limit": 10,
            "service_time": {"mean_s": 0.01}}  # fmt: skip
    shop = load_system(
        {
            "name": "shop", "control_interval_s": 15.0, "warmup_s": 30.0, "sla": {"target_s": 0.2, "worst_s": 2.0},
            "users": {
                "num_users": 100, "popularity_exponent": 0.6, "return_fraction": 0.5, "return_gap_s": 60.0,
                "lookback_s": 300, "premium_fraction": 0.2, "entry": "door", "network_s": 0.0, "deadline_s": 5.0,
                "retry_fraction": 0.5, "max_retries": 2, "think_time_s": 4.0,
            },
            "services": {"door": {**pool, "serves_abandoned": False}, "till": pool},
            "classes": {
                "restock": {"kind": "background", "normal_rate_rps": 0.5, "plan": [{"call": "till"}]},
                "buy": {"kind": "interactive", "normal_rate_rps": 4.0, "plan": [{"call": "till"}]},
            },
            "controls": [{"name": "tills", "of": "till", "parameter": "replicas", "low": 1, "high": 4,
                           "meaning": "tills"}],
        }
    )  # fmt: skip
    slow = {"kind": "slowdown", "service": "till", "start_s": 60, "duration_s": 60, "factor": 3}
    episode = load_scenario({**CALM, "incidents": [slow]}).episode(shop, 1)
    assert episode.rates_rps[:, 0].tolist() == [0.5, 4.0]
    assert [(c.at_ns, c.service, c.value) for c in episode.changes] == [
        (90_000_000_000, "till", 3.0),
        (150_000_000_000, "till", 1.0),
    ]
    with pytest.raises(ConfigError, match=r"retry-storm.yaml: line 13: incidents.0.*service = 'auth': .*: door, till"):
        load_scenario("retry-storm").episode(shop, 1)
    with pytest.raises(ConfigError, match=r"service = 'llm': must be a service of kind llm_endpoint .*it has none"):
        load_scenario("llm-rate-limit").episode(shop, 1)


def test_a_scenario_under_recorded_traffic(system: System, tmp_path: Path) -> None:
    path = tmp_path / "counts.csv"
    path.write_text("".join(f"2024-01-01 {i // 60:02}:{i % 60:02}:00,{600 + 60 * (i >= 60)}\n" for i in range(180)))
    scenario = load_scenario("trace").with_trace(path, start="2024-01-01 00:30:00", horizon_s=3600)
    episode = scenario.episode(system, 0)
    assert episode.start_hour == 0.5
    assert episode.horizon_s == 3600
    assert levels(system, episode)[[0, -1]] == pytest.approx([600 / 660, 1.0])
    clipped = load_scenario("trace").with_trace(path, horizon_s=3600, median_level=2.0, max_level=1.5)
    assert levels(system, clipped.episode(system, 0)).max() == pytest.approx(1.5)
    storm = load_scenario("retry-storm")
    recorded = storm.with_trace(path)
    assert recorded.episode(system, 3).changes == storm.episode(system, 3).changes
    assert isinstance(recorded, Timeline)
    assert recorded.traffic.kind == "trace"


def test_what_is_wrong_with_a_trace_is_named(tmp_path: Path) -> None:
    path = tmp_path / "counts.csv"
    path.write_text("0,1\n60,1\n180,1\n")
    scenario = load_scenario("trace")
    with pytest.raises(ConfigError, match=r"scenario trace: traffic.trace: .*counts.csv: line 3: a gap"):
        scenario.with_trace(path)
    with pytest.raises(ConfigError, match=r"traffic.trace.speed: unknown key"):
        scenario.with_trace("example_day", speed=2)
    with pytest.raises(ConfigError, match="horizon_s = 90000: must be at most 86400"):
        scenario.with_trace("example_day", horizon_s=90000)
    with pytest.raises(ConfigError, match="required key is missing"):
        load_scenario({**CALM, "traffic": {"kind": "trace"}})
    with pytest.raises(ConfigError, match="mixed: a mixture takes no trace"):
        load_scenario("mixed").with_trace("example_day")


def test_a_start_without_quotes_in_yaml_is_a_time(system: System, tmp_path: Path) -> None:
    path = tmp_path / "evening.yaml"
    path.write_text(
        "name: evening\nhorizon_s: 600\n"
        "traffic: {kind: trace, trace: example_day, start: 2025-01-01 20:30:00}\n"
    )  # fmt: skip
    assert load_scenario(path).episode(system, 0).start_hour == 20.5
    assert load_scenario(str(path)).name == "evening"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"fooo": 1}, "scenario calm: fooo: unknown key"),
        ({"horizon_s": 0}, "scenario calm: horizon_s = 0: must be greater than 0"),
        ({"horizon_s": "1h"}, "scenario calm: horizon_s = '1h': must be a valid number"),
        ({"name": ""}, "name = '': "),
        ({"traffic": {"kind": "tidal"}}, "traffic: .*'tidal'.*'ramps', 'daily', 'trace'"),
        ({"traffic": {"kind": "ramps"}}, "traffic.ramps.level: required key is missing"),
        ({"traffic": {"kind": "ramps", "level": -1}}, r"traffic.ramps.level = -1: must be a number in \[0, 1000\]"),
        (
            {"traffic": {"kind": "ramps", "level": 1, "surges": [{"factor": 2, "start_s": 700, "duration_s": 1}]}},
            "traffic.surges.0.start_s = 700.0: must be below horizon_s = 600.0",
        ),
        (
            {"incidents": [{"kind": "slowdown", "service": "a", "start_s": [1, 600], "duration_s": 1, "factor": 2}]},
            "incidents.0.start_s = 600.0: must be below horizon_s = 600.0",
        ),
    ],
)
def test_what_is_wrong_is_named(data: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_scenario({**CALM, **data})


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"nope": 1}, "'nope': neither a file nor one of campaign, compound, "),
        ({"mixed": 1}, "members.mixed: must not be a mixture itself"),
        ({"normal": 0}, "members.normal = 0: must be greater than 0"),
        ({}, "members: .* at least 1 item"),
        (["normal"], "members"),
    ],
)
def test_what_is_wrong_with_a_mixture_is_named(members: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_scenario({"name": "m", "members": members})


def test_files_are_named_in_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'no-such': neither a file nor one of campaign, compound, .*trace"):
        load_scenario("no-such")
    path = tmp_path / "bad.yaml"
    for text, message in (
        ("name: a\nname: b\n", "key 'name' is given twice"),
        ("- 1\n", "must be a valid dictionary"),
        ("", "must be a valid dictionary"),
        ("name: [", "not valid YAML"),
        ("name: a\nhorizon_s: 60\ntraffic: {kind: ramps, level: [2, 1]}\n", r"traffic.ramps.level: \[2, 1\] must be"),
    ):
        path.write_text(text)
        with pytest.raises(ConfigError, match=message) as error:
            load_scenario(path)
        assert str(error.value).startswith(str(path))


@pytest.mark.parametrize("name", ["normal", "mixed"])
@pytest.mark.parametrize("seed", [-1, 1.5, 2**63, None, "1"])
def test_a_bad_seed_is_named(system: System, name: str, seed: Any) -> None:
    with pytest.raises(ConfigError, match=r"seed = .*: must be a whole number in \[0, "):
        load_scenario(name).episode(system, seed)


def test_numpy_seeds_are_seeds(system: System) -> None:
    scenario = load_scenario("normal")
    assert same(scenario.episode(system, np.int64(3)), scenario.episode(system, 3))  # type: ignore[arg-type]
