"""The compiled engine: the model as a Numba event loop over arrays."""

from streamflow_env.engines.compiled.engine import CompiledEngine

__all__ = ["CompiledEngine"]
