"""Cached machine code does not outlive the source of any kernel."""

from pathlib import Path

from streamflow_env.engines.kernel_cache import drop_stale_kernels


def test_a_changed_source_drops_what_was_cached(tmp_path: Path) -> None:
    (tmp_path / "__pycache__").mkdir()
    cached = [tmp_path / "__pycache__" / name for name in ("loop.run.nbi", "loop.run.1.nbc")]
    stamp, source = tmp_path / "__pycache__" / "kernels.sha256", tmp_path / "callee.py"

    def compile_all() -> None:
        for file in cached:
            file.write_bytes(b"code")

    source.write_text("one")
    compile_all()
    assert drop_stale_kernels(tmp_path, stamp)
    assert not any(file.exists() for file in cached)
    compile_all()
    assert not drop_stale_kernels(tmp_path, stamp)
    assert all(file.exists() for file in cached)
    source.write_text("two")
    assert drop_stale_kernels(tmp_path, stamp)
    assert not any(file.exists() for file in cached)
