"""The bounds that settings give, as they are now: they may change while the server runs."""

from app.settings import Settings

_settings = Settings.model_construct()
"""The defaults, until `configure` is called."""


def configure(settings: Settings) -> None:
    """Let these settings be the bounds from now on."""
    global _settings  # noqa: PLW0603
    _settings = settings


def now() -> Settings:
    return _settings
