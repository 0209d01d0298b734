"""The error of everything that is chosen at start. A leaf."""


class ConfigError(Exception):
    """The configuration cannot work; the message says what to change."""
