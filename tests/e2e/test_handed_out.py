"""What a real server hands out of its recordings: an archive to the creator, a stretch to a moderator; and deletes."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from scipy.signal import correlate

from spaces_ctl.client import SpacesClient
from spaces_ctl.demo.speech import voices
from spaces_ctl.engine import Speaker
from tests.support.audio import Pcm
from tests.support.clip_logs import RATE, decoded
from tests.support.dev_server import DevServer, dev_server

pytestmark = pytest.mark.alone

SECONDS = 6


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("handed-out")


@pytest.fixture(scope="module")
def server(directory: Path) -> Iterator[DevServer]:
    with dev_server(directory) as running:
        yield running


def bearer(server: DevServer, who: str) -> dict[str, str]:
    return {"authorization": f"Bearer {server.tokens[who]}"}


def found_in(said: Pcm, heard: Pcm) -> float:
    """How much of the speech is in there: the highest normalised correlation of each second of it, wherever it is, and
    of all seconds in which somebody speaks the median. A busy machine's speaker may have paused between.
    """
    other = heard.astype(float)
    sums = np.concatenate([[0.0], np.cumsum(other**2)])
    found = []
    for begin in range(0, len(said) - RATE + 1, RATE):
        piece = said[begin : begin + RATE].astype(float)
        if np.abs(piece).max() < 1_000:
            continue
        likeness = correlate(other, piece, "valid", "fft")
        energy = np.sqrt(np.maximum((sums[RATE:] - sums[:-RATE]) * (piece**2).sum(), 1.0))
        # Where next to nothing is heard, rounding errors would be alike to anything.
        found.append(float((likeness / np.maximum(energy, energy.max() * 0.05)).max()))
    assert len(found) >= 3
    return float(np.median(found))


async def answered(http: httpx.AsyncClient, url: str, ready: Any, **more: Any) -> Any:
    """The answer as soon as it is what is waited for."""
    async with asyncio.timeout(60):
        while not ready(answer := (await http.get(url, **more)).json()):
            await asyncio.sleep(0.1)
    return answer


async def test_a_recorded_talk_is_exported_heard_by_a_moderator_and_deleted(
    server: DevServer, directory: Path, tmp_path: Path
) -> None:
    said = voices(1)[0].samples[: SECONDS * RATE]
    async with (
        SpacesClient(server.url, token=server.tokens["host"]) as host,
        httpx.AsyncClient(base_url=server.url, timeout=30) as http,
    ):
        space = host.space((await host.spaces.create(title="Tea", record=True)).id)
        await space.start()
        await space.set_mic_access(True)
        admission = await space.join()
        pin = bytes.fromhex(admission.certificate_sha256 or "")
        async with Speaker(admission.urls[0], token=admission.token, seat=0, certificate_sha256=pin) as mic:
            await space.unmute()
            await mic.speak_pcm(said.tobytes())
            await space.report_space("spam")
            await space.end()
        of_space = f"/api/v1/spaces/{space.id}"

        # The creator
        mine: dict[str, Any] = {"headers": bearer(server, "host")}
        await answered(http, of_space, lambda it: it["replay"]["status"] == "available", **mine)
        assert (await http.post(f"{of_space}/export", **mine)).status_code == 200
        [export] = (
            await answered(http, f"{of_space}/exports", lambda it: it["data"] and it["data"][0]["url"], **mine)
        )["data"]
        data = (await http.get(export["url"])).content
        archive = zipfile.ZipFile(io.BytesIO(data))
        assert archive.testzip() is None
        [stem] = [name for name in archive.namelist() if name.endswith(".wav")]
        alone = np.frombuffer(archive.read(stem)[44:], np.int16)
        assert len(alone) >= SECONDS * RATE
        assert found_in(said, alone) > 0.7
        assert found_in(said, decoded(archive.read("mix.opus"), tmp_path)) > 0.5

        # A moderator
        theirs: dict[str, Any] = {"headers": bearer(server, "mo")}
        queue = await answered(http, "/api/v1/moderation/cases", lambda it: it["data"], **theirs)
        case = queue["data"][0]["id"]
        opened = await http.post(f"/api/v1/moderation/cases/{case}/review", json={"why": "to hear it"}, **theirs)
        assert opened.status_code == 201, opened.text
        tracks = {track["account"]: track["url"] for track in opened.json()["tracks"]}
        assert set(tracks) == {None, str(server.ids["host"])}
        for url in tracks.values():
            sound = await http.get(url)
            assert sound.headers["content-type"] == "audio/ogg"
            assert found_in(said, decoded(sound.content, tmp_path)) > 0.5

        # Gone
        stored = [path for path in directory.rglob("replay") if path.is_dir()]
        assert stored
        assert (await http.delete(f"{of_space}/replay", **mine)).is_success
        assert (await http.get(f"{of_space}/replay", **mine)).json()["code"] == "replay.deleted"
        await answered(
            http,
            f"/api/v1/moderation/deletions?space={space.id}",
            lambda it: [row["state"] for row in it["data"]] == ["done"],
            **theirs,
        )
        assert not [path for path in directory.rglob("replay/**/*") if path.is_file()]
        assert [path for path in directory.rglob("source/*") if path.is_file()], "kept for review"
