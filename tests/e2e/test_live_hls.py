"""A live Space by HLS, the last resort: what ffmpeg plays of it, who may hear it, what is left when nobody does."""

from __future__ import annotations

import asyncio
import re
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime

import httpx
import numpy as np
import pytest

from spaces_ctl.demo.speech import voices
from tests.support.audio import Pcm
from tests.support.dev_server import DevServer, dev_server
from tests.support.listening import Spoilt, again_if_spoilt
from tests.support.live_scene import Place, Stage, live_stage
from tests.support.recognised_voices import closeness


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with dev_server(tmp_path_factory.mktemp("server")) as server:
        yield Place(server, "")


@pytest.fixture(scope="module")
def said() -> Pcm:
    return voices(1)[0].samples[: 8 * 48_000]


def by_ffmpeg(url: str, seconds: int) -> Pcm:
    """What ffmpeg plays. It reads the initialisation segment again with every playlist, and says so; nothing else."""
    command = ["ffmpeg", "-v", "warning", "-xerror", "-i", url, "-t", str(seconds), "-f", "s16le", "-ac", "1"]
    done = subprocess.run([*command, "-ar", "48000", "-"], capture_output=True, check=False, timeout=120)
    said = [line for line in done.stderr.decode().splitlines() if "MOOV" not in line and "repeated" not in line]
    assert (done.returncode, said) == (0, [])
    return np.frombuffer(done.stdout, "<i2").astype(np.int16)


def base(server: DevServer, stage: Stage) -> str:
    return f"{server.url}/api/v1/spaces/{stage.space.id}/live/hls"


@pytest.mark.alone
@again_if_spoilt
async def test_ffmpeg_hears_what_is_said(at: Place, said: Pcm) -> None:
    async with live_stage(at) as stage, stage.talking(said):
        url = f"{base(at.server, stage)}/main.m3u8"
        heard = await asyncio.to_thread(by_ffmpeg, url, 10)
        assert len(heard) == 10 * 48_000
        # Where in the talk, which is repeated, it began to listen, nobody knows: what was heard is looked for in it.
        if (clearly := closeness(said, heard[2 * 48_000 : 8 * 48_000])) < 0.85:
            raise Spoilt(clearly)
        # Nobody is counted for it: there is the host alone.
        assert len([person async for person in stage.space.people()]) == 1


@pytest.mark.alone
async def test_it_is_at_most_twelve_seconds_behind_and_no_segment_is_missing(at: Place, said: Pcm) -> None:
    async with live_stage(at) as stage, stage.talking(said), httpx.AsyncClient(timeout=60) as http:
        seen: dict[int, str] = {}
        for _ in range(8):
            answer = await http.get(f"{base(at.server, stage)}/aac.m3u8")
            assert answer.status_code == 200, answer.text
            assert answer.headers["cache-control"] == "private, no-store"
            text = answer.text
            first = int(re.findall(r"MEDIA-SEQUENCE:(\d+)", text)[0])
            uris = re.findall(r"^(\.\./segments/(\d+)\.m4s\?.*)$", text, re.MULTILINE)
            assert [int(number) for _, number in uris] == list(range(first, first + len(uris)))
            seen |= {int(number): uri for uri, number in uris}
            began = datetime.fromisoformat(re.findall(r"DATE-TIME:(.*)", text)[0]).timestamp()
            # A player begins three segments before the end of the list.
            behind = time.time() - (began + 2 * max(0, len(uris) - 3))
            await asyncio.sleep(1)
        assert sorted(seen) == list(range(min(seen), max(seen) + 1))
        assert behind <= 12, behind
        newest = max(seen)
        segment = await http.get(f"{base(at.server, stage)}/{seen[newest]}")
        assert segment.status_code == 200
        assert segment.headers["content-type"] == "audio/mp4"
        assert segment.content[4:8] == b"styp"
        # Links are ours and for what they say.
        other = seen[newest].replace(f"/{newest}.", f"/{newest - 1}.")
        assert (await http.get(f"{base(at.server, stage)}/{other}")).json()["code"] == "link.invalid"


async def test_who_may_not_hear_gets_no_playlist(at: Place) -> None:
    sam = at.server.tokens["sam"]
    async with live_stage(at) as stage, httpx.AsyncClient(timeout=60) as http:
        headers = {"authorization": f"Bearer {sam}"}
        url = f"{base(at.server, stage)}/main.m3u8"
        assert (await http.get(url, headers=headers)).status_code == 200
        await stage.space.remove(at.server.ids["sam"])
        refused = await http.get(url, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (403, "participant.removed")
    ended = await http_get(url)
    assert ended.json()["code"] == "state.ended"


async def http_get(url: str) -> httpx.Response:
    async with httpx.AsyncClient(timeout=60) as http:
        return await http.get(url)
