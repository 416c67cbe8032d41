from __future__ import annotations

import csv
import dataclasses
import io
import math
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from rich.console import Console

from streamflow_agents.evaluation.comparison import ALL
from streamflow_agents.evaluation.episodes import (
    RETURN,
    EpisodeResult,
    Recording,
    Setting,
    evaluate,
    evaluate_policy,
    record_episode,
    run_episode,
)
from streamflow_agents.evaluation.kept_episodes import write_results
from streamflow_agents.evaluation.tables import (
    COLUMNS,
    free_folder,
    markdown,
    print_tables,
    summarise,
    write_summary_csv,
)
from streamflow_agents.evaluation.timelines import Panel, draw_timeline, load_panels, values_of, write_timelines
from streamflow_agents.policies.baselines import make_baseline
from streamflow_agents.policies.loading import load_policy, name_policies
from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.episode import Mark
from streamflow_env.errors import ConfigError
from streamflow_env.paths import config_path
from streamflow_env.system.schema import read_yaml

SEEDS = (1_000_000, 1_000_001)


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The shipped LLM scenario's traffic for three minutes, without its incident."""
    content = read_yaml(config_path("scenarios", "llm-rate-limit")) | {
        "name": "short",
        "horizon_s": 180,
        "incidents": [],
    }
    path = tmp_path_factory.mktemp("scenarios") / "short.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def env(scenario: str) -> StreamFlowEnv:
    return StreamFlowEnv(scenario)


def test_an_episode_is_summed_up(env: StreamFlowEnv) -> None:
    policy = make_baseline("do_nothing", env.system, env.observation_table)
    steps: list[float] = []
    figures = run_episode(policy, env, SEEDS[0], lambda env, info: steps.append(info["time_s"]))
    assert len(steps) == 180 / env.system.control_interval_s
    terms = [value for name, value in figures.items() if name.startswith("reward.")]
    assert figures[RETURN] == pytest.approx(sum(terms))
    assert 0.0 <= figures["sla_fraction"] <= 1.0
    assert run_episode(policy, env, SEEDS[0]) == figures
    assert run_episode(policy, env, SEEDS[1])[RETURN] != figures[RETURN]


def test_every_policy_meets_the_same_demand(env: StreamFlowEnv) -> None:
    policies = [make_baseline(name, env.system, env.observation_table) for name in ("do_nothing", "playbook", "hpa")]
    found = [run_episode(policy, env, SEEDS[0]) for policy in policies]
    assert len({figures["intents_rps"] for figures in found}) == 1
    assert len({figures[RETURN] for figures in found[:2]}) == 2


def test_costs_are_at_the_prices_of_the_episode(scenario: str) -> None:
    content = read_yaml(scenario)
    dear = StreamFlowEnv({**content, "cell": {"prices": {"replicas": 2.0, "memory": 0.5}}})
    usual = StreamFlowEnv(content, system=dear.system)
    policy = make_baseline("do_nothing", usual.system, usual.observation_table)
    before, after = run_episode(policy, usual, SEEDS[0]), run_episode(policy, dear, SEEDS[0])
    for name, factor in (("replicas", 2.0), ("memory", 0.5), ("llm", 1.0)):
        assert after[f"{name}_cost_per_hour"] == pytest.approx(factor * before[f"{name}_cost_per_hour"])


def test_means_over_episodes(env: StreamFlowEnv) -> None:
    policy = make_baseline("playbook", env.system, env.observation_table)
    figures = evaluate_policy(policy, env, SEEDS)
    assert figures[RETURN] == pytest.approx(np.mean([run_episode(policy, env, seed)[RETURN] for seed in SEEDS]))


def test_processes_do_not_change_the_results(scenario: str) -> None:
    policies = {"do_nothing": "do_nothing", "mine": "playbook_hpa"}
    alone = evaluate(policies, [scenario], SEEDS, record_first=True)
    assert [(r.policy, r.seed) for r in alone] == [(p, s) for p in policies for s in SEEDS]
    assert [r.recording is not None for r in alone] == [True, False] * 2
    assert evaluate(policies, [scenario], SEEDS, record_first=True, jobs=2) == alone


@pytest.mark.parametrize(
    ("policies", "jobs", "culprit"),
    [({}, 1, "nothing to"), ({"x": "nosuch"}, 1, "nosuch"), ({"hpa": "hpa"}, 0, "jobs 0")],
)
def test_what_cannot_be_evaluated_is_an_error(policies: dict[str, str], jobs: int, culprit: str, scenario: str) -> None:
    with pytest.raises(ConfigError, match=culprit):
        evaluate(policies, [scenario], SEEDS, Setting(), jobs=jobs)


def test_a_recording_holds_every_interval(env: StreamFlowEnv) -> None:
    figures, recording = record_episode(make_baseline("do_nothing", env.system, env.observation_table), env, SEEDS[0])
    assert recording.times_s == [15.0 * (k + 1) for k in range(12)]
    assert all(len(values) == 12 for values in recording.series.values())
    assert np.mean(recording.series["intents_rps"]) == pytest.approx(figures["intents_rps"])
    assert max(recording.series["within_sla_rps"]) <= max(recording.series["goodput_rps"])


def made_up(num_seeds: int = 4) -> list[EpisodeResult]:
    """Two policies in two scenarios; `better` is better by exactly 10 + seed in return."""
    rng = np.random.default_rng(0)
    results = []
    for scenario in ("calm", "storm"):
        for seed in range(num_seeds):
            base = {column.figure: float(rng.uniform(0, 1)) for column in COLUMNS}
            base[RETURN] = float(rng.uniform(-500, -100))
            results.append(EpisodeResult("do_nothing", scenario, seed, base))
            results.append(EpisodeResult("better", scenario, seed, base | {RETURN: base[RETURN] + 10 + seed}))
    return results


def test_a_summary_pairs_by_episode() -> None:
    rows = summarise(made_up(), "do_nothing")
    assert [(row.scenario, row.policy) for row in rows] == [
        (scenario, policy) for scenario in ("calm", "storm", ALL) for policy in ("do_nothing", "better")
    ]
    place = [column.title for column in COLUMNS].index("Δ return")
    for row in rows:
        difference = row.estimates[place]
        if row.policy == "do_nothing":
            assert difference is None
        else:
            assert difference is not None
            assert difference.value == pytest.approx(11.5)
            assert 10 <= difference.low <= 11.5 <= difference.high <= 13
    assert [row.num_episodes for row in rows] == [4, 4, 4, 4, 8, 8]
    with pytest.raises(ConfigError, match="nosuch"):
        summarise(made_up(), "nosuch")


def test_tables_are_written_and_printed(tmp_path: Path) -> None:
    results = made_up()
    rows = summarise(results, "do_nothing")
    text = markdown(rows, "do_nothing", range(4), "python scripts/evaluate.py --num-seeds 4")
    assert "4 a scenario (seeds 0 to 3)" in text
    assert "python scripts/evaluate.py --num-seeds 4\n" in text
    assert text.count("\n| better |") == 3
    assert r"+11.5\*<br>[" in text
    assert "not over training seeds" in text
    out = io.StringIO()
    print_tables(rows, "do_nothing", Console(file=out))
    assert "storm: 4 episodes a policy" in out.getvalue()
    assert "+11.5*" in out.getvalue()
    assert "* the 95 % interval of the difference excludes 0" in out.getvalue()
    write_summary_csv(rows, tmp_path / "summary.csv")
    lines = list(csv.DictReader((tmp_path / "summary.csv").read_text(encoding="utf-8").splitlines()))
    assert {line["statistic"] for line in lines} == {"mean", "mean paired difference", "interquartile mean"}
    write_results(tmp_path / "episodes.csv", results, num_digits=None, overwrite=False)
    raw = list(csv.DictReader((tmp_path / "episodes.csv").read_text(encoding="utf-8").splitlines()))
    assert [float(line["return"]) for line in raw] == [result.figures[RETURN] for result in results]
    with pytest.raises(FileExistsError):
        write_results(tmp_path / "episodes.csv", results, overwrite=False)


def test_one_episode_has_no_interval() -> None:
    rows = summarise(made_up(1), "do_nothing")
    assert all(found is None or math.isnan(found.low) for row in rows for found in row.estimates)
    text = markdown(rows, "do_nothing", [7], "evaluate")
    assert "one episode" in text
    assert "(seed 7)" in text
    assert "too narrow" in text
    assert r"\*<br>" not in text


def test_all_scenarios_weigh_the_same_and_their_distance_does_not_widen_the_interval() -> None:
    rng = np.random.default_rng(6)
    results = [
        EpisodeResult("do_nothing", scenario, seed, {c.figure: centre + rng.uniform(-1, 1) for c in COLUMNS})
        for scenario, centre in (("calm", 0.0), ("storm", -900.0))
        for seed in range(10)
    ]
    found = summarise(results, "do_nothing")[-1].estimates[0]
    assert found is not None
    assert found.value == pytest.approx(-450, abs=1)
    assert found.high - found.low < 1.5


def test_an_evaluation_overwrites_nothing(tmp_path: Path) -> None:
    assert free_folder(str(tmp_path)) == tmp_path
    assert free_folder() != free_folder()
    (tmp_path / "summary.csv").write_text("")
    with pytest.raises(ConfigError, match="already"):
        free_folder(str(tmp_path))


def recording() -> Recording:
    times_s = [15.0 * k for k in range(1, 41)]
    series = {name: [float(k) for k in range(40)] for name in ("intents_rps", "p95_s", "replicas.a", "replicas.b")}
    return Recording(times_s, series, (Mark("quota 0.3x", 100.0, 200.0), Mark("slow", 150.0, 580.0)))


def test_metrics_with_wildcards_add_up() -> None:
    summed = values_of(recording(), "replicas.*")
    assert summed is not None
    assert summed.tolist() == [2.0 * k for k in range(40)]
    assert values_of(recording(), "nosuch") is None


def test_a_picture_has_the_panels_that_there_are_values_for(tmp_path: Path) -> None:
    panels = (
        Panel(title="P95", unit="s", metric="p95_s", scale="log", limit=0.2, limit_label="SLA", behind="intents_rps"),
        Panel(title="Nothing", unit="s", metric="nosuch"),
        Panel(title="Replicas", unit="all", metric="replicas.*", scale="symlog"),
    )
    both = {"do_nothing": recording(), "hpa": dataclasses.replace(recording(), marks=())}
    figure = draw_timeline(both, panels, {"do_nothing": "black", "hpa": "red"}, "storm, episode seed 7")
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["What happens", "P95", "Replicas"]
    assert len(figure.axes[1].patches) == 2  # both incidents are shaded
    assert figure.axes[1].get_xlim() == (0.0, 10.0)
    results = [EpisodeResult(policy, "a/storm.yaml", 7, {}, made) for policy, made in both.items()]
    [path] = write_timelines(results, tmp_path, panels)
    assert path.name == "timeline-storm.png"
    assert path.stat().st_size > 10_000


def test_scenarios_of_the_same_name_have_pictures_of_their_own(tmp_path: Path) -> None:
    panels = (Panel(title="P95", unit="s", metric="p95_s"),)
    results = [EpisodeResult("hpa", f"{folder}/storm.yaml", 7, {}, recording()) for folder in "abc"]
    names = [path.name for path in write_timelines(results, tmp_path, panels)]
    assert names == ["timeline-storm.png", "timeline-storm-2.png", "timeline-storm-3.png"]


def test_what_is_drawn_for_the_first_policy_says_so() -> None:
    panel = Panel(
        title="P", unit="s", metric="p95_s", behind="replicas.a", behind_label="of {policy}", outline="intents_rps"
    )
    both = {"do_nothing": recording(), "hpa": recording()}
    axis = draw_timeline(both, (panel,), {"do_nothing": "black", "hpa": "red"}, "").axes[1]
    assert set(axis.get_legend_handles_labels()[1]) == {"of do_nothing", "intents_rps", "do_nothing", "hpa"}


def test_next_to_nothing_looks_like_it() -> None:
    calm = Recording([15.0, 30.0], {"queue": [0.0, 0.09]})
    figure = draw_timeline({"a": calm}, (Panel(title="Q", unit="q", metric="queue", scale="symlog"),), {"a": "red"}, "")
    assert figure.axes[1].get_ylim() == (0.0, 10.0)


def test_the_shipped_panels_all_have_values(env: StreamFlowEnv) -> None:
    _, recorded = record_episode(make_baseline("do_nothing", env.system, env.observation_table), env, SEEDS[0])
    for panel in load_panels():
        assert values_of(recorded, panel.metric) is not None, panel.metric
        assert panel.behind is None or values_of(recorded, panel.behind) is not None
        assert panel.outline is None or values_of(recorded, panel.outline) is not None


def test_policies_are_named(tmp_path: Path) -> None:
    run = tmp_path / "ppo-1"
    run.mkdir()
    (run / "policy.npz").write_bytes(b"not a model")
    given = ["do_nothing", f"agent={run}", f"{run}/policy.npz"]
    assert name_policies(given) == {"do_nothing": "do_nothing", "agent": str(run), "ppo-1": f"{run}/policy.npz"}
    odd = run.rename(tmp_path / "lr=0.1")
    assert name_policies([str(odd)]) == {"lr=0.1": str(odd)}
    assert name_policies([f"mine={odd}"]) == {"mine": str(odd)}
    with pytest.raises(ConfigError, match="given twice"):
        name_policies(["hpa", "hpa"])
    with pytest.raises(ConfigError, match="nosuch"):
        name_policies(["x=nosuch"])


def test_a_trained_model_is_loaded_with_its_normalisation(tmp_path: Path, env: StreamFlowEnv) -> None:
    from stable_baselines3 import PPO
    from stable_baselines3.common.running_mean_std import RunningMeanStd
    from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

    normalised = VecNormalize(DummyVecEnv([lambda: env]), norm_obs=True)
    assert isinstance(normalised.obs_rms, RunningMeanStd)
    normalised.obs_rms.mean[:] = 5.0
    model = PPO("MlpPolicy", normalised, n_steps=8, batch_size=8, seed=0, device="cpu")
    model.save(tmp_path / "best_model.zip")
    observation, _ = env.reset(options={"episode_seed": SEEDS[0]})
    plain, _ = load_policy(str(tmp_path), env, trust=True).predict(observation, deterministic=True)
    np.testing.assert_allclose(plain, model.predict(observation, deterministic=True)[0])
    normalised.save(str(tmp_path / "vecnormalize.pkl"))
    seen, _ = load_policy(str(tmp_path), env, trust=True).predict(observation, deterministic=True)
    expected, _ = model.predict(normalised.normalize_obs(observation), deterministic=True)
    np.testing.assert_allclose(seen, expected)
    assert not np.allclose(seen, plain)
    assert run_episode(load_policy(str(tmp_path), env, trust=True), env, SEEDS[0])[RETURN] < 0


def test_what_is_no_model_for_this_system_is_an_error(tmp_path: Path, env: StreamFlowEnv) -> None:
    import gymnasium
    from stable_baselines3 import PPO

    (tmp_path / "best_model.zip").write_bytes(b"not a model")
    with pytest.raises(ConfigError, match="not a model"):
        load_policy(str(tmp_path), env, trust=True)
    with zipfile.ZipFile(tmp_path / "best_model.zip", "w") as archive:
        archive.writestr("something", "else")
    with pytest.raises(ConfigError, match="not a model"):
        load_policy(str(tmp_path), env, trust=True)
    PPO("MlpPolicy", gymnasium.make("Pendulum-v1"), n_steps=8, batch_size=8, device="cpu").save(tmp_path / "other.zip")
    with pytest.raises(ConfigError, match="its observations have shape"):
        load_policy(str(tmp_path / "other.zip"), env, trust=True)
    whole = (tmp_path / "other.zip").read_bytes()
    (tmp_path / "half.zip").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConfigError, match="not a model"):
        load_policy(str(tmp_path / "half.zip"), env, trust=True)
    (tmp_path / "config.yaml").write_text("arguments: {algorithm: nosuch}", encoding="utf-8")
    with pytest.raises(ConfigError, match="nosuch"):
        load_policy(str(tmp_path / "other.zip"), env, trust=True)


def test_the_command_loads_a_zip_only_with_trust(tmp_path: Path, scenario: str) -> None:
    from stable_baselines3 import PPO

    from streamflow_agents.arguments import parse_arguments
    from streamflow_agents.commands.evaluate import Arguments, run

    PPO("MlpPolicy", StreamFlowEnv(scenario), n_steps=8, batch_size=8, device="cpu").save(tmp_path / "mine.zip")
    options = ["--scenarios", scenario, "--num-seeds", "1", "--jobs", "1", "--out", str(tmp_path / "out")]
    given = ["--policies", f"do_nothing,{tmp_path / 'mine.zip'}", "--no-progress", *options]
    with pytest.raises(ConfigError, match=r"mine\.zip: a zip of Stable-Baselines3 .* give --trust"):
        run(parse_arguments(Arguments, given), "untrusted")
    run(parse_arguments(Arguments, [*given, "--trust"]), "trusted")
    assert "mine" in (tmp_path / "out" / "summary.csv").read_text()


def test_the_command_writes_everything(tmp_path: Path, scenario: str) -> None:
    from streamflow_agents.commands.evaluate import Arguments, run

    out = tmp_path / "results"
    arguments = Arguments(
        policies="do_nothing,mine=playbook", scenarios=scenario, num_seeds=2, jobs=1, out=str(out), progress=False
    )
    run(arguments, "python scripts/evaluate.py")
    assert sorted(path.name for path in out.iterdir()) == [
        "config.yaml", "episodes.csv", "summary.csv", "summary.md", "timeline-short.png",
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="already"):
        run(arguments, "again")
    with pytest.raises(ConfigError, match="reference"):
        run(dataclasses.replace(arguments, reference="hpa"), "again")
