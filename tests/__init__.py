"""The tests. A package of its own, so that no `tests` that a dependency installs is taken for it."""
