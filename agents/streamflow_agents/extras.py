"""What the agents need beyond the environment is installed by extras: an import that fails says by which."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Final

EXTRAS: Final = {
    "train": ("rich", "sb3_contrib", "stable_baselines3", "tensorboard", "torch", "tqdm"),
    "plots": ("matplotlib",),
}
"""The extras of the distribution `streamflow-env`, and the packages that each installs, by their import names."""


class MissingExtraError(ModuleNotFoundError):
    """A package that an extra installs is not there."""


@contextmanager
def explain_missing_extra() -> Iterator[None]:
    """Where an import of a package of an extra fails, raise an error that says how to install it.

    Raises:
        MissingExtraError: the import of a package in `EXTRAS` has failed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        for extra, packages in EXTRAS.items():
            if package in packages:
                raise _missing(package, extra) from error
        raise


def require_extras(*extras: str) -> None:
    """Check that the packages of `extras` are installed, without importing them.

    Raises:
        MissingExtraError: one is not.
    """
    for extra in extras:
        for package in EXTRAS[extra]:
            if find_spec(package) is None:
                raise _missing(package, extra)


def _missing(package: str, extra: str) -> MissingExtraError:
    return MissingExtraError(
        f"{package} is not installed: needs the extra: pip install 'streamflow-env[{extra}]'", name=package
    )
