"""What lies in the spool is found under the names that the engine gives."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaces_ctl import base62, segments
from spaces_ctl.engine import space_name
from spaces_ctl.media.spool import Spool, spool_of


@given(st.integers(0, 2**63 - 1))
def test_names_are_the_engines(space: int) -> None:
    assert base62.encode(space) == space_name(space)
    assert base62.decode(space_name(space)) == space


@pytest.mark.parametrize("text", ["", "123456789012", "a-b", "é"])
def test_what_is_no_name(text: str) -> None:
    with pytest.raises(ValueError, match="base62"):
        base62.decode(text)


def test_only_spaces_are_found_and_cleared(tmp_path: Path) -> None:
    spool = Spool(tmp_path, segments)
    assert spool.spaces() == []
    for name in ("object-store", ".hidden", "4711", "04711", "-5", "lost+found"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(b"12345")
    assert spool.spaces() == [4711]
    assert spool.size() == 5
    spool.clear(4711)
    assert not spool_of(tmp_path, 4711).exists()
    assert len(list(tmp_path.iterdir())) == 5
    assert Spool(tmp_path / "missing", segments).spaces() == []
    assert spool.entries(99) == []
