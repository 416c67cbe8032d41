"""What is promised outside the code: the wheel carries the configuration, every version is pinned, scripts explain."""

from __future__ import annotations

import csv
import math
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from dataclasses import dataclass
from importlib.metadata import requires
from pathlib import Path

import pytest

import streamflow_agents
import streamflow_env
from streamflow_agents.extras import EXTRAS as PACKAGES

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
OPENAI_AGENTS = "openai-agents==0.24.0"
PINS = dict(
    line.split("==")
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if line and not line.startswith("#")
)


ENVIRONMENT_ALONE = """
import gymnasium, math
from streamflow_env import ENV_IDS, ConfigError, StreamFlowEnv, StreamFlowVectorEnv, load_scenario, load_system
env = gymnasium.make(ENV_IDS[0], engine="reference")
env.reset(seed=1)
reward = env.step(env.action_space.sample())[1]
cells = StreamFlowVectorEnv(2, load_scenario("normal"), "reference", load_system())
cells.reset(seed=1)
rewards = cells.step(cells.action_space.sample())[1]
print(all(map(math.isfinite, [reward, *rewards])))
"""
BASELINES_ALONE = """
from streamflow_agents import load_policy, make_baseline
from streamflow_env import StreamFlowEnv
env = StreamFlowEnv("normal", "reference")
observation, _ = env.reset(seed=1)
actions = [
    policy.predict(observation)[0]
    for policy in (load_policy("hpa", env), make_baseline("hpa", env.system, env.observation_table))
]
print((actions[0] == actions[1]).all())
"""


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def without(*extras: str) -> str:
    """Code after which importing a package of `extras` fails, as it does where the package is not installed."""
    names = [name for extra in extras for name in PACKAGES[extra]]
    return f"import sys; sys.modules.update(dict.fromkeys({names}))\n"


def run(*command: str) -> str:
    return subprocess.run([sys.executable, *command], check=True, capture_output=True, text=True, cwd=ROOT).stdout


def test_every_dependency_is_pinned_and_the_pins_of_their_dependencies_too() -> None:
    pinned = {normal(name) for name in PINS}
    todo = [*PROJECT["project"]["dependencies"], *(each for extra in EXTRAS.values() for each in extra)]
    seen: set[str] = set()
    while todo:
        requirement = todo.pop()
        if requirement.startswith("streamflow-env[") or "extra ==" in requirement or _elsewhere(requirement):
            continue
        name = normal(re.split(r"[^A-Za-z0-9_.-]", requirement, maxsplit=1)[0])
        assert name in pinned, f"{requirement} is not in constraints.txt"
        if name not in seen:
            seen.add(name)
            todo += requires(name) or []


def _elsewhere(requirement: str) -> bool:
    """Whether it is for another platform or an older Python; and torch's own CUDA packages, which follow its pin."""
    marker = requirement.partition(";")[2]
    return any(word in marker for word in ("win32", "Windows", "darwin", "Darwin", "python_version <")) or (
        "platform_system" in marker and "Linux" in marker
    )


def test_no_pin_is_of_one_machine() -> None:
    assert all(re.fullmatch(r"[0-9]+(\.[0-9a-z]+)*", version) for version in PINS.values())


def test_importing_the_environment_imports_no_learning_library() -> None:
    loaded = run("-c", "import sys, streamflow_env.environment.env; print(*sys.modules)").split()
    assert not {"torch", "stable_baselines3", "simpy", "matplotlib"} & set(loaded)


def test_the_extras_are_what_the_error_for_a_missing_package_says() -> None:
    assert EXTRAS["dev"][0] == "streamflow-env[train,plots]"
    for extra, packages in PACKAGES.items():
        assert {normal(re.split("[<>=]", each)[0]) for each in EXTRAS[extra]} == {normal(name) for name in packages}


@pytest.mark.parametrize("code", [ENVIRONMENT_ALONE, BASELINES_ALONE], ids=["environment", "baselines"])
def test_no_extra_is_needed(code: str) -> None:
    """In an interpreter in which no package of an extra can be imported."""
    assert run("-c", without("train", "plots") + code).split() == ["True"]


@pytest.mark.parametrize(("extra", "package"), [("train", "rich"), ("plots", "matplotlib")])
def test_a_command_without_its_extra_names_it(extra: str, package: str) -> None:
    code = without(extra) + "import streamflow_agents.commands.evaluate"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    last = f"{package} is not installed: needs the extra: pip install 'streamflow-env[{extra}]'"
    assert done.stderr.splitlines()[-1].endswith(last)


def test_evaluating_without_its_extra_names_it() -> None:
    code = without("train") + "from streamflow_agents import evaluate"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stderr.splitlines()[-1].endswith("needs the extra: pip install 'streamflow-env[train]'")


def test_the_public_names_are_there() -> None:
    for package in (streamflow_env, streamflow_agents):
        assert set(package.__all__) <= set(dir(package))
        assert all(getattr(package, name) is not None for name in package.__all__)
        with pytest.raises(AttributeError, match="no attribute 'steam'"):
            _ = package.steam


def test_importing_agents_asks_openmp_for_one_patient_thread() -> None:
    code = "import os; [os.environ.pop(n, None) for n in ('OMP_NUM_THREADS', 'OMP_WAIT_POLICY')]; "
    code += "import streamflow_agents; "
    assert run("-c", code + "print(os.environ['OMP_NUM_THREADS'], os.environ['OMP_WAIT_POLICY'])").split() == [
        "1",
        "passive",
    ]


def test_every_script_explains_itself_and_is_short() -> None:
    scripts = sorted((ROOT / "scripts").glob("*.py"))
    assert scripts
    for script in scripts:
        assert len(script.read_text().splitlines()) < 100, f"{script.name} has 100 lines or more"
        assert "usage:" in run(str(script), "--help")


@dataclass(frozen=True)
class Installed:
    """A virtual environment with the wheel in it, and an empty folder to work in, far from the checkout."""

    wheel: Path
    site: Path
    scripts: Path
    elsewhere: Path

    def run(self, *command: str) -> str:
        """What its Python prints for `command`, without PYTHONPATH and the like."""
        completed = subprocess.run(
            [str(self.scripts / "python"), "-I", *command], capture_output=True, text=True, cwd=self.elsewhere
        )
        assert completed.returncode == 0, completed.stderr
        return completed.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The dependencies are those here, by a path file; the editable install's own path file does not count there."""
    folder = tmp_path_factory.mktemp("installed")
    wheel = _build_wheel(folder / "wheel")
    site, scripts = _empty_environment(folder / "venv")
    run("-m", "pip", "--python", str(scripts / "python"), "install", "--quiet", "--no-deps", "--no-index", str(wheel))
    (folder / "elsewhere").mkdir()
    return Installed(wheel, site, scripts, folder / "elsewhere")


@pytest.mark.slow
def test_the_wheel_works_without_the_checkout(installed: Installed) -> None:
    """The reference engine steps, for the compiled one would first be compiled anew, for half a minute."""
    with zipfile.ZipFile(installed.wheel) as archive:
        names = set(archive.namelist())
    shipped = {str(path.relative_to(ROOT)) for path in (ROOT / "configs").rglob("*") if path.is_file()}
    assert {f"streamflow_env/{name}" for name in shipped} <= names
    assert {"streamflow_env/py.typed", "streamflow_agents/py.typed"} <= names
    packages, reset_and_step, evaluated = installed.run("-c", USE).splitlines()
    places = [str(installed.site / name) for name in ("streamflow_env", "streamflow_agents")]
    assert packages.split() == [*places, PROJECT["project"]["version"]]
    assert reset_and_step == "True False"
    assert evaluated == "hpa"


@pytest.mark.slow
def test_the_wheel_holds_the_product_alone(installed: Installed) -> None:
    """No study, no script, no test; and no name that another distribution could have as well."""
    with zipfile.ZipFile(installed.wheel) as archive:
        names = archive.namelist()
    metadata = f"streamflow_env-{PROJECT['project']['version']}.dist-info"
    assert {name.partition("/")[0] for name in names} == {"streamflow_env", "streamflow_agents", metadata}
    assert not [name for name in names if "studies" in name or "test" in name.lower()]
    commands = {name for name in installed.scripts.iterdir() if name.name.startswith("streamflow-")}
    assert {path.name for path in commands} == set(PROJECT["project"]["scripts"])


@pytest.mark.slow
def test_the_wheel_shares_no_file_with_openai_agents(installed: Installed, tmp_path: Path) -> None:
    """Its import name is `agents`: installing it once overwrote a package of ours of that name."""
    options = ("--quiet", "--no-deps", "--retries", "0", "--timeout", "20", "--dest", str(tmp_path))
    command = ("-m", "pip", "download", *options, OPENAI_AGENTS)
    download = subprocess.run([sys.executable, *command], capture_output=True, text=True, cwd=tmp_path)
    if download.returncode != 0:
        pytest.skip("the package index cannot be reached, to download openai-agents")
    (other,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(installed.wheel) as ours, zipfile.ZipFile(other) as theirs:
        assert "agents/__init__.py" in theirs.namelist()
        assert not set(ours.namelist()) & set(theirs.namelist())


@pytest.mark.slow
def test_the_installed_commands_train_and_compare(installed: Installed) -> None:
    """On next to no traffic, with the reference engine; all that they write is in the folder that they are run in."""
    scenario = installed.elsewhere / "quiet.yaml"
    scenario.write_text("{name: quiet, horizon_s: 300, traffic: {kind: ramps, level: 0.02}}", encoding="utf-8")
    train, compare = (str(installed.scripts / f"streamflow-{name}") for name in ("train", "evaluate"))
    common = ("--engine", "reference", "--no-progress")
    length = ("--num-cells", "2", "--total-steps", "128", "--num-evaluation-episodes", "1")
    run_folder = installed.run(train, "--scenario", "quiet.yaml", *length, *common).strip()
    assert (installed.elsewhere / run_folder / "policy.npz").is_file()
    policies = f"do_nothing,hpa,agent={run_folder}"
    episodes = ("--scenarios", "quiet.yaml", "--num-seeds", "1", "--jobs", "1")
    installed.run(compare, "--policies", policies, *episodes, *common)
    (results,) = (installed.elsewhere / "results").iterdir()
    table = list(csv.DictReader((results / "episodes.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["policy"] for row in table] == ["do_nothing", "hpa", "agent"]
    assert all(math.isfinite(float(row["return"])) for row in table)
    assert f"\nstreamflow-evaluate --policies {policies} " in (results / "summary.md").read_text(encoding="utf-8")
    assert {path.name for path in installed.elsewhere.iterdir()} == {"quiet.yaml", "runs", "results"}


USE = """
import math, os
import gymnasium, streamflow_agents, streamflow_env
from streamflow_agents.evaluation.episodes import Setting, evaluate
packages = streamflow_env, streamflow_agents
print(*(os.path.dirname(package.__file__) for package in packages), streamflow_env.__version__)
env = gymnasium.make("StreamFlow-v1", engine="reference")
observation, info = env.reset(seed=1)
observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
assert math.isfinite(reward)
print(observation.shape == env.observation_space.shape, terminated or truncated)
short = "short.yaml"
with open(short, "w") as file:
    file.write("{name: short, horizon_s: 60, traffic: {kind: trace, trace: example_day, start: 20}}")
results = evaluate({"hpa": "hpa"}, [short], [1], Setting(engine="reference"))
os.remove(short)
print(*(result.policy for result in results if math.isfinite(result.figures["return"])))
"""


def _build_wheel(folder: Path) -> Path:
    try:
        run("-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT))
    except subprocess.CalledProcessError as error:
        if "No matching distribution found for hatchling" in error.stderr:
            pytest.skip("the build backend cannot be had here")
        raise AssertionError(error.stderr) from error
    (wheel,) = folder.glob("*.whl")
    return wheel


def _empty_environment(folder: Path) -> tuple[Path, Path]:
    """(where packages, where commands lie) in a new virtual environment that sees the dependencies installed here."""
    venv.create(folder, symlinks=True)
    paths = {"base": str(folder), "platbase": str(folder)}
    site = Path(sysconfig.get_path("purelib", scheme="venv", vars=paths))
    dependencies = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    (site / "dependencies.pth").write_text("\n".join(dependencies), encoding="utf-8")
    return site, Path(sysconfig.get_path("scripts", scheme="venv", vars=paths))
