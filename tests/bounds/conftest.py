"""Servers with small bounds and with the usual ones."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.bounds import SMALL
from tests.support.server import ServerProcess, token


@pytest.fixture(scope="module")
def make(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., ServerProcess]:
    def serve(**options: object) -> ServerProcess:
        folder = tmp_path_factory.mktemp("bounds")
        database = shutil.copyfile(sqlite_template, folder / "outdial.db")
        return ServerProcess(f"sqlite:///{database}", folder, **options)  # type: ignore[arg-type]

    return serve


@pytest.fixture(scope="module")
def small(make: Callable[..., ServerProcess]) -> Iterator[ServerProcess]:
    with make(environment=SMALL) as process:
        yield process


@pytest.fixture(scope="module")
def usual(make: Callable[..., ServerProcess]) -> Iterator[ServerProcess]:
    """With all limits as they are by default."""
    with make() as process:
        yield process


@pytest.fixture(scope="module")
def mine() -> str:
    return token(str(uuid4()))
