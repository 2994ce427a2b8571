from collections.abc import Iterator
from pathlib import Path

import pytest

from spaces_ctl.media.objects import Objects
from tests.support.media_worker import Breaking
from tests.support.s3 import S3Server, s3_server
from tests.support.virtual_time import VirtualTime


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture(params=["directory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where objects are kept, as the settings name it."""
    if request.param == "directory":
        return str(tmp_path / "objects")
    server: S3Server = request.getfixturevalue("s3")
    return server.bucket()


@pytest.fixture
def objects(store: str, time: VirtualTime) -> Breaking:
    return Breaking(Objects.open(store, access_key_id="test", secret_access_key="test"), time)


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    directory = tmp_path / "spool"
    directory.mkdir()
    return directory


@pytest.fixture
def time() -> VirtualTime:
    return VirtualTime()
