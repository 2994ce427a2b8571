"""What the peers' tests share."""

from collections.abc import Iterator

import pytest

from tests.peers.room import Room, running


@pytest.fixture(scope="module")
def room() -> Iterator[Room]:
    with running() as served:
        yield served
