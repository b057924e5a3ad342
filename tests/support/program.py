"""The real program, started and ended."""

import os
import subprocess
import sys
from contextlib import suppress

import psutil
import pytest

from tests.support.server import REPOSITORY


def started(tmp_path, workers, **environment):
    """The real program, where it said that it listens."""
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "serve", "--port", "0", "--workers", str(workers)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    url = process.stdout.readline().rpartition(" ")[2].strip()
    if not url:
        pytest.fail(process.communicate()[1])
    assert process.stdout.readline() == f"Dashboard: {url}/\n"
    assert process.stdout.readline() == f"GraphiQL: {url}/graphql\n"
    return process, url


def end(process):
    """Kill it with its workers, which would hold its output open."""
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
    process.kill()
    process.communicate()
