"""Cached machine code is used again, and never after the source of any kernel has changed."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numba
import pytest

import streamflow_env.engines.compiling  # noqa: F401 - declares kernels
from streamflow_env.engines.kernel_cache import PACKAGE, PREFIX, SOURCES, UNUSED_DAYS, digest, drop_unused, make_folder

COPIED = ("engines/kernel_cache.py", "engines/compiling.py")
CALLEE = """
from streamflow_env.engines.compiling import inlined

@inlined
def constant():
    return ANSWER
"""
CALLER = """
from streamflow_env.engines.compiled.callee import constant
from streamflow_env.engines.compiling import kernel

@kernel
def answer():
    return constant()
"""
RUN = """
import numba
from streamflow_env.engines.compiled import caller
assert numba.config.CACHE_DIR == CHOSEN, "a caller's own functions are cached where they always were"
print(caller.answer(), sum(caller.answer.stats.cache_hits.values()))
"""


class Copy:
    """A copy of the package in which one kernel inlines another, from another file; where it can cache is up to us."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.package = folder, folder / "streamflow_env"
        for module in (self.package, self.package / "engines", self.package / "engines" / "compiled"):
            module.mkdir()
            (module / "__init__.py").touch()
        for name in COPIED:
            shutil.copy(PACKAGE / name, self.package / name)
        (self.package / "engines" / "compiled" / "caller.py").write_text(CALLER, encoding="utf-8")
        self.users_caches = folder / "caches"
        self.chosen = ""
        self.edit(1)

    def edit(self, answer: int) -> None:
        text = CALLEE.replace("ANSWER", str(answer))
        (self.package / "engines" / "compiled" / "callee.py").write_text(text, encoding="utf-8")

    def make_read_only(self) -> None:
        """A file stands where the folder would be made: that stops root as well, which no permission does."""
        for folder in (self.package / "engines", self.package / "engines" / "compiled"):
            (folder / "__pycache__").touch()

    def run(self) -> tuple[str, str]:
        """What the kernel returns and how often it was found in the cache; and what stands on standard error."""
        environment = {
            **os.environ, "PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1",
            "NUMBA_CACHE_DIR": self.chosen, "XDG_CACHE_HOME": str(self.users_caches),
        }  # fmt: skip
        code = RUN.replace("CHOSEN", repr(self.chosen))
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=self.folder, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip(), done.stderr

    def caches(self) -> list[Path]:
        """The folders that hold machine code, by where they are."""
        return sorted({file.parents[2] for file in self.folder.rglob("*.nbc")})


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


@pytest.mark.parametrize("where", ["package", "NUMBA_CACHE_DIR", "home"])
def test_an_edit_of_an_inlined_kernel_shows_in_the_next_process(copy: Copy, where: str) -> None:
    place = copy.package / "engines" / "__pycache__"
    if where == "NUMBA_CACHE_DIR":
        place = copy.folder / "chosen"
        copy.chosen = str(place)
    elif where == "home":
        copy.make_read_only()
        place = copy.users_caches / "streamflow_env"
    assert [copy.run(), copy.run()] == [("1 0", ""), ("1 1", "")]
    copy.edit(2)
    assert copy.run() == ("2 0", "")
    assert copy.caches() == [place]


def test_where_nothing_can_be_written_kernels_are_compiled_anew_and_one_warning_says_so(copy: Copy) -> None:
    copy.make_read_only()
    copy.users_caches.touch()
    copy.chosen = str(copy.users_caches / "chosen")
    out, err = copy.run()
    assert out == "1 0"
    assert err.count("RuntimeWarning: cannot cache the simulator's machine code") == 1
    assert f"cannot write to any of {copy.chosen}, " in err
    assert copy.caches() == []


def test_folders_of_other_sources_go_when_they_have_not_been_used_for_days(tmp_path: Path) -> None:
    old, young, current = (make_folder([tmp_path], name) for name in ("old", "young", "current"))
    assert old is not None
    assert young is not None
    assert current is not None
    (tmp_path / "of-somebody-else").mkdir()
    long_ago = time.time() - (UNUSED_DAYS + 1) * 86_400
    for folder in (old, current, tmp_path / "of-somebody-else"):
        os.utime(folder, (long_ago, long_ago))
    drop_unused(current)
    assert {path.name for path in tmp_path.iterdir()} == {f"{PREFIX}young", f"{PREFIX}current", "of-somebody-else"}


def test_to_use_a_folder_keeps_it(tmp_path: Path) -> None:
    folder = make_folder([tmp_path], "one")
    assert folder is not None
    os.utime(folder, (0, 0))
    assert make_folder([tmp_path], "one") == folder
    assert time.time() - folder.stat().st_mtime < 60


def test_the_digest_is_of_every_source_that_kernels_are_made_of() -> None:
    """Of every module that declares kernels, and of every module that such a module imports from."""
    digested = {path for pattern in SOURCES for path in PACKAGE.glob(pattern)}
    declaring = [path for path in PACKAGE.rglob("*.py") if "engines.compiling import" in path.read_text("utf-8")]
    assert len(declaring) > 20
    for module in declaring:
        assert module in digested
        assert _imported(module) <= digested, f"{module.name} imports {_imported(module) - digested}"


def _imported(module: Path) -> set[Path]:
    """The files of this package that a module imports from when it runs."""
    body = ast.parse(module.read_text("utf-8")).body
    names = [node.module for node in body if isinstance(node, ast.ImportFrom) and node.module]
    paths = [PACKAGE.parent.joinpath(*name.split(".")) for name in names if name.startswith("streamflow_env")]
    return {path / "__init__.py" if path.is_dir() else path.with_suffix(".py") for path in paths}


def test_the_digest_depends_on_names_and_content(tmp_path: Path) -> None:
    source = tmp_path / "engines" / "draws" / "hashing.py"
    source.parent.mkdir(parents=True)
    digests = [digest(tmp_path)]
    for text in ("one", "two"):
        source.write_text(text)
        digests.append(digest(tmp_path))
    source.rename(source.with_name("hashes.py"))
    digests.append(digest(tmp_path))
    assert len(set(digests)) == 4


def test_numbas_own_setting_is_left_as_it_was() -> None:
    assert PREFIX not in str(getattr(numba.config, "CACHE_DIR"))  # noqa: B009 - numba's stubs do not know it
