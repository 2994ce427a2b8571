"""A short replay for tests of what is around the sound: 8 s of two tones, made by the packager, put anywhere."""

from __future__ import annotations

import msgspec
import numpy as np

from spaces_ctl.media.layout import replay_prefix
from spaces_ctl.media.objects import Objects
from spaces_ctl.media.packaging import Packager
from spaces_ctl.media.replay_files import MANIFEST, Manifest
from spaces_ctl.segments import SeatGiven
from tests.support.mixes import RATE, files, mixed

__all__ = ["SECONDS", "put_replay"]

SECONDS = 8
_made: dict[str, bytes] = {}


async def put_replay(objects: Objects, space: int, *, started_at_ms: int, accounts: tuple[int, int] = (1, 2)) -> None:
    """`accounts` speak one after the other, 4 s each, from the Space's start on."""
    if not _made:
        times = np.arange(SECONDS // 2 * RATE) / RATE
        low, high = ((8000 * np.sin(2 * np.pi * hertz * times)).astype(np.int16) for hertz in (220, 440))
        packets = mixed({0: low, 1: np.concatenate([0 * low, high])})
        kept = Objects.memory()
        packager = Packager(kept, "replay", first_group=0)
        for contents in files(packets, seats=[SeatGiven(0, seat, 1, seat + 1) for seat in (0, 1)]):
            await packager.add(contents)
        await packager.finish(SECONDS * 50)
        await packager.complete()
        _made.update({name.removeprefix("replay/"): await kept.get(name) for name, _ in await kept.list("replay")})
    for name, data in _made.items():
        if name == MANIFEST:
            known = msgspec.json.decode(data, type=Manifest)
            data = msgspec.json.encode(msgspec.structs.replace(known, started_at_ms=started_at_ms))
        if name == "timeline.json":
            for own, account in zip((b'"1"', b'"2"'), accounts, strict=True):
                data = data.replace(b'"account":' + own, b'"account":"%d"' % account)
        await objects.put(f"{replay_prefix(space)}/{name}", data)
