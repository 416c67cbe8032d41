"""The one error that bad input raises."""


class ConfigError(ValueError):
    """Bad input: a file, key, value or array that cannot be used; the message names the culprit and what is allowed."""
