"""Settings that are read again while the server runs: keys, bounds and the log. Nobody is disconnected."""

import structlog

from app import bounds, logs
from app.auth import TokenReader
from app.settings import Settings, SettingsError, ensure_secret

FIXED = frozenset(
    {
        "allowed_origins",
        "base_path",
        "compiled",
        "database_pool_size",
        "database_url",
        "default_region",
        "event_retention_hours",
        "import_retention_days",
        "keep_alive_seconds",
        "metrics_host",
        "metrics_port",
        "tracing",
    }
)
"""Settings that count from the next start on."""

log = structlog.get_logger("outdial.server")


class Rereading:
    """Reads the settings again when it is called.

    Args:
        settings: that the server started with.
        reader: of tokens, which gets the new keys.
    """

    def __init__(self, settings: Settings, reader: TokenReader) -> None:
        self._settings = settings
        self._reader = reader

    def __call__(self) -> None:
        """Use the settings as they are now. If one is wrong, all stay as they were."""
        try:
            settings = ensure_secret(Settings.load())
            self._reader.replace(settings)
        except SettingsError as error:
            log.error("settings_not_read", reason=str(error))  # noqa: TRY400 - one line says it
            return
        logs.configure(settings)
        bounds.configure(settings)
        log.info("settings_read")
        if waiting := sorted(name for name in FIXED if getattr(settings, name) != getattr(self._settings, name)):
            log.warning("settings_need_restart", names=waiting)
