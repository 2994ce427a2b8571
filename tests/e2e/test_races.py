"""After the answer, silence: mute, revoke, remove, block, mic access off and end against somebody who keeps speaking.

What is checked, soundly: the answer names a fence, and no frame of the silenced seat in a later group ever reaches the
listener, until the person is let speak again. Frames up to the fence had left the engine before the answer; on loopback
they arrive within moments of it, and `LATEST_IN_FLIGHT_MS` bounds how long that may take.

The same for packets of the mix that name the seat, at another listener; and for captions, which somebody tries to show
of the seat all the time: none that is shown of somebody who no longer consents, or no longer sits there, arrives. A
caption carries the time at which its showing was asked for, as groups of captions have no fence.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from spaces_ctl import commands as c
from spaces_ctl.engine import CaptionLine, Refused
from spaces_ctl.model import SpaceId
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.spaces import Outcome
from spaces_ctl.service.tables import Tables
from tests.support.patience import PATIENCE_S
from tests.support.rooms import GONE, Deployment, Ear, MixEar, a_deployment, speech, talk
from tests.support.worlds import who

pytestmark = pytest.mark.alone

RACES = 1_000
ROOMS = 20
SEED = 20_260_704
LATEST_IN_FLIGHT_MS = 250
WAYS = ("mute", "mute_all", "revoke", "remove", "block", "mic_access", "end", "consent")
TEXTLESS = ("revoke", "remove", "block", "end", "consent")
"""After these there are no captions of the person."""
MIX_WARM_MS = 200
"""A packet of the mix is 60 ms long and comes when the tick behind it is in: what was said just now is under way."""
COMPANION = 1_000_000
"""Added to an account: the id of its second session."""
DEFIANCES = ("keeps_sending", "reconnects", "reconnects_before", "second_connection")


@dataclass
class Tally:
    """What was seen over all races."""

    races: int = 0
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often each way of silencing met each defiance."""
    sound: int = 0
    """Races about sound: all but those about consent to captions."""
    warm: int = 0
    """Races in which a frame came within 40 ms before the call."""
    warm_mix: int = 0
    """Races in which a packet of the mix with the person in it came within `MIX_WARM_MS` before the call."""
    warm_after: int = 0
    """Races in which one came after the answer, of the groups up to the fence."""
    texts: int = 0
    """Races about captions."""
    warm_texts: int = 0
    """Races in which a caption came within 40 ms before the call."""
    refused_packets: int = 0
    """Packets of the mix that came back from the mixer when somebody in them was silenced already."""
    refused_texts: int = 0
    """Captions that were refused after the answer."""
    in_flight_ms: list[float] = field(default_factory=list)
    """Of frames up to the fence that arrived after the answer: how long after."""
    leaks: list[str] = field(default_factory=list)


class Room:
    """One Space after another: a host, somebody who speaks, a listener."""

    def __init__(self, deployment: Deployment, number: int, packets: list[bytes], tally: Tally) -> None:
        self.d = deployment
        self.host, self.account = 10_000 + 2 * number, 10_001 + 2 * number
        self.random = random.Random(SEED + number)
        self.packets = packets
        self.tally = tally
        self.space: SpaceId = 0
        self.seat = 0
        self.heard_from = 0
        """A group before the speaker was let be heard (again)."""
        self.stack = AsyncExitStack()
        self.voices: list[asyncio.Task[None]] = []
        self.generation = 0
        self.refused_texts: list[int] = []
        """When each was asked for."""

    async def open(self) -> None:
        """A new Space with everybody in it."""
        await self.close()
        self.stack = AsyncExitStack()
        self.space = (await self.d.spaces.create(who(self.host), c.Create())).space.id
        await self.d.do(self.host, self.space, c.Start())
        await self.d.do(self.host, self.space, c.SetMicAccess(open=True))
        listener = await self.stack.enter_async_context(self.d.listener(self.space))
        self.ear = Ear(listener)
        self.stack.push_async_callback(self.ear.aclose)
        self.mix = MixEar(await self.stack.enter_async_context(self.d.reader(self.space)))
        self.stack.push_async_callback(self.mix.aclose)
        self.captioning = asyncio.create_task(self._caption(self.space))
        self.stack.push_async_callback(self._stop_captioning)
        await self.come_in()

    async def come_in(self) -> None:
        """The speaker comes, named, gets a seat, opens the mic and begins to speak."""
        async with self.d.listener(self.space, self.account, sid=self.account + COMPANION):
            await self.d.do(self.host, self.space, c.Invite(account=self.account))
            seat = (await self.insist(c.TakeMic())).space.seat_of(self.account)
            assert seat is not None
            self.seat, self.generation = seat.seat, seat.generation
            await self.insist(c.CaptionConsent(on=True))
            self.voices.append(asyncio.create_task(self._voice(self.account)))
            await self.open_mic()
            await self.is_heard()

    async def is_heard(self) -> None:
        """Until the speaker is heard. A second connection (another session), given up while it was being made, may yet
        come and take the seat: then the speaker's client connects again, as clients do.
        """
        hearing = asyncio.create_task(self.ear.hears(self.seat, 4))
        while not (await asyncio.wait([hearing], timeout=0.5))[0]:
            if all(voice.done() for voice in self.voices):
                self.start_voice(self.account)
        await hearing

    async def open_mic(self) -> None:
        self.heard_from = await self.d.group_now(self.space)
        await self.insist(c.Unmute())

    async def insist(self, command: c.SpaceCommand) -> Outcome:
        """Until the engine knows that the speaker is back."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    return await self.d.do(self.account, self.space, command)
                except ServiceError as refused:
                    if refused.code != "participant.not_in_space" and refused.code != "role.forbidden":
                        raise
                    await asyncio.sleep(0.005)

    async def _voice(self, sid: int) -> None:
        with suppress(*GONE):
            async with self.d.speaker(self.space, self.account, self.seat, sid=sid) as speaker:
                await talk(speaker, self.packets)

    async def _caption(self, space: SpaceId) -> None:
        """Shows captions of the seat all the time, whether it may or not, until the engine is gone."""
        while True:
            asked_us = time.monotonic_ns() // 1000
            try:
                await self.d.engine.caption(space, self.seat, self.generation, str(asked_us).encode())
            except Refused:
                self.refused_texts.append(asked_us)
            await asyncio.sleep(0.01)

    async def _stop_captioning(self) -> None:
        self.captioning.cancel()
        with suppress(asyncio.CancelledError):
            await self.captioning

    def start_voice(self, sid: int) -> None:
        self.voices.append(asyncio.create_task(self._voice(sid)))

    async def hush(self) -> None:
        for voice in self.voices:
            voice.cancel()
        await asyncio.gather(*self.voices, return_exceptions=True)
        self.voices.clear()

    async def close(self) -> None:
        await self.hush()
        await self.stack.aclose()

    async def race(self, way: str, defiance: str) -> None:
        """Silence while speaking, watch, let speak again."""
        await asyncio.sleep(self.random.uniform(0, 0.04))
        if defiance == "reconnects_before":
            # A connection is being made while the command is carried out.
            self.start_voice(self.account)
            await asyncio.sleep(self.random.uniform(0, 0.003))
        ear, mix = self.ear, self.mix
        called_us = time.monotonic_ns() // 1000
        fence = await self.silence(way)
        answered_us = time.monotonic_ns() // 1000
        if defiance == "reconnects":
            await self.hush()
            self.start_voice(self.account)
        elif defiance == "second_connection":
            self.start_voice(self.account + COMPANION)
        await asyncio.sleep(self.random.uniform(0.08, 0.16))
        until_us = time.monotonic_ns() // 1000
        await self.let_speak_again(way)
        # In a Space that has ended nobody is ever heard again.
        silent_before = None if way == "end" else self.heard_from
        tally = self.tally
        tally.races += 1
        tally.seen[way, defiance] += 1
        if way in TEXTLESS:
            self._check_texts(mix.lines, way, called_us, answered_us, until_us)
        if way != "consent":
            self._check_sound(ear, mix, way, defiance, fence, silent_before, (called_us, answered_us, until_us))
        ear.forget()
        mix.forget()
        self.refused_texts.clear()

    def _check_texts(
        self, lines: Sequence[CaptionLine], way: str, called_us: int, answered_us: int, until_us: int
    ) -> None:
        tally = self.tally
        tally.texts += 1
        tally.warm_texts += any(called_us - 40_000 <= line.received_at_us <= called_us for line in lines)
        tally.refused_texts += sum(answered_us <= asked_us <= until_us for asked_us in self.refused_texts)
        for line in lines:
            asked_us, after_ms = int(line.payload), (line.received_at_us - answered_us) / 1000
            if answered_us <= asked_us <= until_us:
                tally.leaks.append(
                    f"{way}: a caption asked for {(asked_us - answered_us) / 1000:.1f} ms after the answer"
                )
            elif asked_us < answered_us and after_ms > 0:
                tally.in_flight_ms.append(after_ms)

    def _check_sound(
        self,
        ear: Ear,
        mix: MixEar,
        way: str,
        defiance: str,
        fence: int,
        silent_before: int | None,
        times: tuple[int, int, int],
    ) -> None:
        seat, tally = self.seat_silenced, self.tally
        called_us, answered_us, until_us = times
        tally.sound += 1
        mixed = [packet for packet in mix.packets if seat in packet.levels]
        tally.warm_mix += any(called_us - 1_000 * MIX_WARM_MS <= p.received_at_us <= called_us for p in mixed)
        tally.warm_after += any(p.received_at_us > answered_us and p.group <= fence for p in mixed)
        for packet in mixed:
            after_ms = (packet.received_at_us - answered_us) / 1000
            last = packet.group + packet.ticks - 1
            if packet.group <= fence:
                if after_ms > 0:
                    tally.in_flight_ms.append(after_ms)
            elif silent_before is None or last < silent_before or packet.received_at_us < until_us:
                tally.leaks.append(
                    f"{way}, {defiance}: mix of {packet.group}, {packet.levels}, fence {fence}, {after_ms:.1f} ms late"
                )
        mine = [frame for frame in ear.frames if frame.seat == seat]
        tally.warm += any(called_us - 40_000 <= frame.received_at_us <= called_us for frame in mine)
        for frame in mine:
            after_ms = (frame.received_at_us - answered_us) / 1000
            if frame.group <= fence:
                if after_ms > 0:
                    tally.in_flight_ms.append(after_ms)
            elif silent_before is None or frame.group < silent_before or frame.received_at_us < until_us:
                tally.leaks.append(f"{way}, {defiance}: group {frame.group}, fence {fence}, {after_ms:.1f} ms late")

    async def silence(self, way: str) -> int:
        """Returns the answer's fence."""
        if way == "block":
            self.d.graph.blocks.add((self.host, self.account))
        self.seat_silenced = self.seat
        asking = self.account if way == "consent" else self.host
        outcome = await self.d.do(asking, self.space, self.command(way))
        assert outcome.fence_group is not None
        return outcome.fence_group

    def command(self, way: str) -> c.SpaceCommand:
        match way:
            case "mute":
                return c.Mute(account=self.account)
            case "mute_all":
                return c.MuteAll()
            case "revoke":
                return c.Revoke(account=self.account)
            case "remove":
                return c.Remove(account=self.account, allow_rejoin=self.random.random() < 0.5)
            case "block":
                return c.Blocked(account=self.account)
            case "mic_access":
                return c.SetMicAccess(open=False)
            case "consent":
                return c.CaptionConsent(on=False)
            case _:
                return c.End()

    async def let_speak_again(self, way: str) -> None:
        if way == "end":
            await self.open()
            return
        if way == "consent":
            await self.insist(c.CaptionConsent(on=True))
            if all(voice.done() for voice in self.voices):
                self.start_voice(self.account)
            await self.is_heard()
            return
        if way in ("mute", "mute_all", "mic_access"):
            if way == "mic_access":
                await self.d.do(self.host, self.space, c.SetMicAccess(open=True))
            if all(voice.done() for voice in self.voices):
                self.start_voice(self.account)
            await self.open_mic()
            await self.is_heard()
            return
        await self.hush()
        if way == "remove" and self.account in self.d.spaces.live[self.space].removed:
            await self.d.do(self.host, self.space, c.Readmit(account=self.account))
        if way == "block":
            self.d.graph.blocks.discard((self.host, self.account))
            await self.d.effects.unblocked(who(self.host), self.account)
        await self.come_in()


Prepare = Callable[[Deployment], None]


async def race(
    directory: Path,
    races: int,
    rooms: int,
    *,
    ways: Sequence[str] = WAYS,
    defiances: Sequence[str] = DEFIANCES,
    shards: int = 1,
    prepare: Prepare = lambda deployment: None,
) -> Tally:
    """So many races, in `rooms` Spaces side by side; `prepare` is called when all of them are open."""
    packets, tally = await speech(), Tally()
    async with a_deployment(directory, shards=shards) as deployment, AsyncExitStack() as stack:
        every = [Room(deployment, number, packets, tally) for number in range(rooms)]
        for room in every:
            stack.push_async_callback(room.close)
        await asyncio.gather(*(room.open() for room in every))
        prepare(deployment)

        async def run(room: Room) -> None:
            for _ in range(races // rooms):
                await room.race(room.random.choice(ways), room.random.choice(defiances))

        async with asyncio.TaskGroup() as group:
            for room in every:
                group.create_task(run(room))
        tally.refused_packets = sum(shard["mix_dropped"] for shard in (await deployment.engine.stats()).shards)
    return tally


async def test_a_thousand_races_and_not_one_frame_after_the_answer(tmp_path: Path) -> None:
    tally = await race(tmp_path, RACES, ROOMS)
    assert tally.leaks == []
    assert tally.races == RACES
    print(
        f"{tally.races} races, {tally.sound} of them about sound, {tally.texts} about captions;"
        f" running at the call: stage {tally.warm}, mix {tally.warm_mix}, captions {tally.warm_texts};"
        f" {tally.refused_packets} packets of the mix and {tally.refused_texts} captions were refused;"
        f" {tally.warm_after} times a packet of the mix was in flight at the answer;"
        f" what was in flight came {max(tally.in_flight_ms, default=0):.1f} ms after it at the latest"
    )
    assert tally.warm >= 0.95 * tally.sound, f"only {tally.warm} races were over running speech"
    assert tally.warm_mix >= 0.9 * tally.sound, f"only {tally.warm_mix} races were over a running mix"
    assert tally.warm_texts >= 0.9 * tally.texts, f"only {tally.warm_texts} races were over running captions"
    assert tally.refused_texts >= 2 * tally.texts
    assert max(tally.in_flight_ms, default=0.0) < LATEST_IN_FLIGHT_MS
    assert set(tally.seen) == {(way, defiance) for way in WAYS for defiance in DEFIANCES}


async def test_nor_with_three_shards(tmp_path: Path) -> None:
    tally = await race(tmp_path, 200, ROOMS, shards=3)
    assert tally.leaks == []
    assert tally.warm_mix >= 0.9 * tally.sound
    assert tally.warm_texts >= 0.9 * tally.texts


async def test_races_show_captions_if_the_engine_is_not_told(tmp_path: Path) -> None:
    def tell_nothing(deployment: Deployment) -> None:
        async def only_the_fence(space: SpaceId, want: Tables | None, *, ended: bool = False) -> int:
            return await deployment.group_now(space)

        deployment.spaces.programmer.program = only_the_fence  # type: ignore[method-assign]  # of this race's own deployment

    tally = await race(tmp_path, 20, 4, ways=["consent"], defiances=["keeps_sending"], prepare=tell_nothing)
    assert len(tally.leaks) > 20 * 3, "one every 10 ms for 80 ms and more"


async def test_races_show_frames_if_the_engine_is_not_told(tmp_path: Path) -> None:
    """The measurement can fail: the same without programming the engine, as if it answered at once."""

    def tell_nothing(deployment: Deployment) -> None:
        async def only_the_fence(space: SpaceId, want: Tables | None, *, ended: bool = False) -> int:
            return await deployment.group_now(space)

        deployment.spaces.programmer.program = only_the_fence  # type: ignore[method-assign]  # of this race's own deployment

    tally = await race(tmp_path, 20, 4, ways=["mute"], defiances=["keeps_sending"], prepare=tell_nothing)
    mixed = sum(leak.startswith("mute, keeps_sending: mix") for leak in tally.leaks)
    assert len(tally.leaks) - mixed > 20 * 3, "a frame every 20 ms for 80 ms and more"
    assert mixed >= 10, "a packet every 60 ms"


async def test_races_show_frames_that_come_before_the_engine_is_told(tmp_path: Path) -> None:
    """The measurement can fail: the same, but the answer comes 60 ms before the engine has it."""

    def tell_late(deployment: Deployment) -> None:
        program, late = deployment.spaces.programmer.program, set[asyncio.Task[int | None]]()

        async def later(space: SpaceId, want: Tables | None, *, ended: bool = False) -> int | None:
            await asyncio.sleep(0.06)
            return await program(space, want, ended=ended)

        async def at_once(space: SpaceId, want: Tables | None, *, ended: bool = False) -> int:
            task = asyncio.create_task(later(space, want, ended=ended))
            late.add(task)
            task.add_done_callback(late.discard)
            return await deployment.group_now(space)

        deployment.spaces.programmer.program = at_once  # type: ignore[method-assign]  # of this race's own deployment

    tally = await race(tmp_path, 20, 4, ways=["mute"], defiances=["keeps_sending"], prepare=tell_late)
    assert len(tally.leaks) >= 20
