"""The errors that bad input raises."""


class ConfigError(ValueError):
    """Bad input: a file, key, value or array that cannot be used. The message names it and says what is allowed."""


class RenderModeError(ConfigError, TypeError):
    """A `render_mode` was asked for, but there is none.

    It is a `TypeError` too: Stable-Baselines3 first makes every environment with `render_mode="rgb_array"`, and makes
    it again without one only after a `TypeError`.
    """
