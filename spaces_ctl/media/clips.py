"""Clips in the media worker: `cut` makes sound and picture of a stretch of a Space, `film` a video of them afterwards.

A live clip ends where the recorder has just been: `cut` waits until the log has reached that point, at most
`LATE_MS` after it. Cuts are made one at a time, so that a hundred of them take the memory of one; videos when no cut
waits. Both look first for what is there already: asked twice, they do nothing the second time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any
from weakref import WeakKeyDictionary

import msgspec

from spaces_ctl import segments
from spaces_ctl.media import clip_sound, clip_video, pictures
from spaces_ctl.media.bench import Bench
from spaces_ctl.media.clip_names import FAILED, LATER, PLAYABLE, name_of
from spaces_ctl.media.errors import MediaError
from spaces_ctl.media.layout import clip_prefix
from spaces_ctl.media.objects import NoObject
from spaces_ctl.media.requests import Cut, Done, Film, Preview, Previewed
from spaces_ctl.media.turns import Turns
from spaces_ctl.segments import TICK_MS, Contents

__all__ = ["LATE_MS", "begin_film", "cut", "film", "preview"]

LATE_MS = 2_000
"""How long after a moment its sound may come into the log: the recorder keeps at most a second in memory, and what it
heard has been through the mixer. What has not come then was silence."""

_POLL_S = 0.1
_FOREVER = 1 << 62
_CUT, _FILM = 0, 1
_log = logging.getLogger(__name__)


_turns: WeakKeyDictionary[Any, Turns] = WeakKeyDictionary()
_films: set[asyncio.Task[None]] = set()


async def cut(worker: Bench, request: Cut) -> Done:
    """Writes what makes a clip playable, then begins its video without waiting for it.

    Raises MediaError (`source.gone`: nothing at all is recorded of the Space; on the last try that is written down
    instead), StoreUnavailable.
    """
    wanted = await _missing(worker, request.space, request.clip, PLAYABLE)
    if wanted:
        start_group, end_group = _groups(request.start_ms, request.end_ms)
        try:
            await _written(worker, request.space, start_group, end_group)
            async with _turn(worker, _CUT):
                await _make(worker, request, wanted, start_group, end_group)
        except (NoObject, MediaError) as error:
            gone = isinstance(error, NoObject) or error.code.startswith("source.")
            if not (gone and request.last_try):
                raise
            _log.warning("clip %d of Space %d cannot be made: %s", request.clip, request.space, error)
            await worker.objects.put(name_of(request.space, request.clip, FAILED), b"source.gone")
            return Done()
    if await _missing(worker, request.space, request.clip, LATER):
        _begin(worker, Film(space=request.space, clip=request.clip, heading=request.heading, line=request.line))
    return Done()


async def film(worker: Bench, request: Film) -> Done:
    """Writes the videos of a clip that is cut. Raises MediaError (`source.gone`: it is not), StoreUnavailable."""
    space, clip = request.space, request.clip
    if not await _missing(worker, space, clip, LATER):
        return Done()
    if await _missing(worker, space, clip, PLAYABLE):
        raise MediaError("source.gone", "the clip is not cut")
    async with _turn(worker, _FILM):
        get = worker.objects.get
        bars = msgspec.json.decode(await get(name_of(space, clip, "waveform.json")), type=_Waveform)
        bright, dim = (_card(request, bars.peaks, bars.length_ms, played=played) for played in (True, False))
        opus = await get(name_of(space, clip, "audio.opus"))
        webm = await clip_video.film(bright, dim, bars.length_ms, opus)
        mp4 = clip_video.remuxed(webm, await get(name_of(space, clip, "audio.m4a")), "mp4")
        await worker.objects.put(name_of(space, clip, "video.mp4"), mp4)
        await worker.objects.put(name_of(space, clip, "video.webm"), webm)
        # Whoever deleted the clip meanwhile has not seen these.
        if await _missing(worker, space, clip, PLAYABLE):
            await worker.objects.delete(clip_prefix(space, clip))
    return Done()


async def begin_film(worker: Bench, request: Film) -> Done:
    """`film`, without waiting for it."""
    _begin(worker, request)
    return Done()


async def preview(worker: Bench, request: Preview) -> Previewed:
    """The sound of a clip that is not made yet: the mix's own packets in an Ogg file, nothing encoded, nothing kept.

    Raises MediaError (`source.gone`), StoreUnavailable.
    """
    start_group, end_group = _groups(request.start_ms, request.end_ms)
    await _written(worker, request.space, start_group, end_group)
    first = max(0, start_group - clip_sound.PRE_ROLL_GROUPS)
    log = worker.archive.contents(request.space, first, end_group)
    packets = {
        packet.group: (packet.group, packet.ticks, packet.opus)
        async for contents in log
        for packet in contents.mix
        if first <= packet.group < end_group
    }
    # What is decoded to converge is skipped, as is the encoder's own delay (RFC 7845 section 4.2).
    pre_skip = (start_group - first) * clip_sound.TICK + _ENCODER_DELAY
    told = [packets[group] for group in sorted(packets)]
    return Previewed(audio=segments.ogg(told, start_group=first, end_group=end_group, pre_skip=pre_skip))


_ENCODER_DELAY = 312
"""Samples that libopus is late by (6.5 ms at 48 kHz)."""


class _Waveform(msgspec.Struct, frozen=True, kw_only=True):
    length_ms: int
    step_ms: int
    peaks: list[int]


async def _make(worker: Bench, request: Cut, wanted: frozenset[str], start_group: int, end_group: int) -> None:
    first = max(0, start_group - clip_sound.PRE_ROLL_GROUPS)
    log = worker.archive.contents(request.space, first, end_group)
    samples = await clip_sound.decode(log, start_group, end_group)
    length_ms = (end_group - start_group) * TICK_MS
    bars = clip_sound.peaks(samples)
    for file in PLAYABLE:
        if file not in wanted:
            continue
        match file:
            case "audio.opus":
                data = await clip_sound.encode_opus(samples)
            case "audio.m4a":
                data = await clip_sound.encode_m4a(samples)
            case "waveform.png":
                data = pictures.png(_card(request, bars, length_ms))
            case _:
                told = _Waveform(length_ms=length_ms, step_ms=clip_sound.PEAK_MS, peaks=bars)
                data = msgspec.json.encode(told)
        await worker.objects.put(name_of(request.space, request.clip, file), data)
        await asyncio.sleep(0)


async def _written(worker: Bench, space: int, start_group: int, end_group: int) -> None:
    """Returns when the log has reached the group, or `LATE_MS` after its time: pauses are not written.

    Raises MediaError (`source.gone`: nothing at all is recorded of the Space).
    """
    log, began_ms = worker.archive, worker.clock.now_ms()
    while await _first(log.contents(space, end_group - 1, _FOREVER)) is None:
        some = await _first(log.contents(space, start_group, _FOREVER)) or await _first(
            log.contents(space, 0, _FOREVER)
        )
        due_ms = began_ms if some is None else some.started_at_ms + end_group * TICK_MS
        left_ms = due_ms + LATE_MS - worker.clock.now_ms()
        if left_ms <= 0 and some is None:
            raise MediaError("source.gone", "nothing is recorded")
        if left_ms <= 0:
            return
        await worker.sleep(min(_POLL_S, left_ms / 1000))


async def _first(log: AsyncGenerator[Contents, None]) -> Contents | None:
    async with aclosing(log) as files:
        async for contents in files:
            return contents
    return None


def _groups(start_ms: int, end_ms: int) -> tuple[int, int]:
    """On borders of 20 ms, outwards."""
    return start_ms // TICK_MS, max(-(-end_ms // TICK_MS), start_ms // TICK_MS + 1)


def _card(request: Cut | Film, bars: list[int], length_ms: int, *, played: bool = True) -> Any:
    seconds = round(length_ms / 1000)
    badge = f"CLIP {seconds // 60}:{seconds % 60:02}"
    return pictures.card(request.heading or "A Space", badge, request.line, bars=bars, played=played)


async def _missing(worker: Bench, space: int, clip: int, files: tuple[str, ...]) -> frozenset[str]:
    there = {name.rpartition("/")[2] for name, _ in await worker.objects.list(clip_prefix(space, clip))}
    return frozenset(files) - there


def _turn(worker: Bench, urgency: int) -> Any:
    return _turns.setdefault(worker, Turns()).take(urgency)


def _begin(worker: Bench, request: Film) -> None:
    async def run() -> None:
        try:
            # As an operation: the same video is not made twice at the same time, and ends with the worker.
            await worker.answer("film", msgspec.msgpack.encode(request))
        except MediaError as error:
            _log.warning("no video of clip %d of Space %d yet: %s", request.clip, request.space, error)

    task = asyncio.create_task(run())
    _films.add(task)
    task.add_done_callback(_films.discard)
