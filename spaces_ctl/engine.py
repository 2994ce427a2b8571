"""The media engine, usable without anything else of this project.

    signer = TokenSigner.generate()
    async with Engine(EngineConfig(signers=[signer], recordings=Path("recordings"))) as engine:
        await engine.apply(UpsertSpace(space=1, version=1, stage=[StageRow(seat=0, account=7, role="host")]))
        async for batch in engine.events():
            ...

No packet enters Python: the engine's threads take Opus from speakers over QUIC and WebTransport and fan it out. This
module says who may: whole values, each with a version, so that a command may be repeated and a late one is refused
(`StaleVersion`). Calls that wait for the engine's threads do so outside the event loop. It works under asyncio and
uvloop and imports nothing but the standard library.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

from spaces_ctl import _engine
from spaces_ctl._clients import (
    CaptionLine,
    Frame,
    Listener,
    ListenerLoad,
    ListenerStats,
    LoadStats,
    MixFrame,
    SeatFrame,
    SeatTap,
    Speaker,
    SpeakerStats,
    TapStats,
)
from spaces_ctl._config import EngineConfig, TokenSigner, WebSocketConfig, keys_of
from spaces_ctl._engine import (
    REFUSALS,
    AddressInUse,
    CertificateRefused,
    CommandRefused,
    ConnectionClosed,
    ConnectionFailed,
    EngineError,
    EnginePanic,
    EngineTimeout,
    InvalidTable,
    Refused,
    SpaceEnded,
    StaleVersion,
    StartFailed,
    UnknownSpace,
    frame_hash,
    space_id,
    space_name,
)
from spaces_ctl._reports import MixerStats, Recording, Roster, Stats
from spaces_ctl._tables import (
    EVENTS,
    Applied,
    Command,
    Counts,
    EndSpace,
    Event,
    Joined,
    Left,
    Reactions,
    RecordingGap,
    Resync,
    SeatOverBudget,
    SeatSpeaking,
    SetAcl,
    SetRevoked,
    SetState,
    StageRow,
    UpsertSpace,
    ascending,
    row,
)

__all__ = [
    "MOST_CAPTION_BYTES",
    "REFUSALS",
    "AddressInUse",
    "Applied",
    "CaptionLine",
    "CertificateRefused",
    "Command",
    "CommandRefused",
    "ConnectionClosed",
    "ConnectionFailed",
    "Counts",
    "EndSpace",
    "Engine",
    "EngineConfig",
    "EngineError",
    "EnginePanic",
    "EngineTimeout",
    "Event",
    "Frame",
    "InvalidTable",
    "Joined",
    "Left",
    "Listener",
    "ListenerLoad",
    "ListenerStats",
    "LoadStats",
    "MixFrame",
    "MixerStats",
    "Reactions",
    "Recording",
    "RecordingGap",
    "Refused",
    "Resync",
    "Roster",
    "SeatFrame",
    "SeatOverBudget",
    "SeatSpeaking",
    "SeatTap",
    "SetAcl",
    "SetRevoked",
    "SetState",
    "SpaceEnded",
    "Speaker",
    "SpeakerStats",
    "StageRow",
    "StaleVersion",
    "StartFailed",
    "Stats",
    "TapStats",
    "TokenSigner",
    "UnknownSpace",
    "UpsertSpace",
    "WebSocketConfig",
    "frame_hash",
    "space_id",
    "space_name",
]

MOST_CAPTION_BYTES = 4_096
"""The longest line of captions."""

T = TypeVar("T")


_RUNNING: dict[str, _engine.NativeEngine] = {}
_log = logging.getLogger(__name__)


class Engine:
    """A running engine: `async with Engine(config)`, or `Engine.attach(name)` to one that runs already.

    Without a name it stops when the block is left. With one it belongs to the process: it keeps running with its last
    tables when the block is left or its event loop dies, `Engine.attach(name)` finds it again, and `aclose()` stops
    it. Raises `StartFailed` (`AddressInUse`) on entering.
    """

    def __init__(self, config: EngineConfig | None = None, *, name: str | None = None) -> None:
        """Nothing is started before the block is entered."""
        self._config = config or EngineConfig()
        self._name = name
        self._engine: _engine.NativeEngine | None = None
        self._calls: ThreadPoolExecutor | None = None
        self._ready: asyncio.Future[None] | None = None
        self._closing = False
        self._told = False

    @classmethod
    def attach(cls, name: str) -> Self:
        """The face of a named engine of this process. Raises `EngineError` if none of that name runs."""
        engine = cls(name=name)
        engine._engine = _RUNNING.get(name)
        if engine._engine is None:
            raise EngineError(f"no engine named {name!r} runs in this process")
        return engine

    async def __aenter__(self) -> Self:
        """Binds the socket and starts the threads, unless attached."""
        # One thread: commands reach the engine in the order in which they were given.
        self._calls = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spaces-engine-call")
        if self._engine is None:
            if self._name is not None and self._name in _RUNNING:
                raise EngineError(f"an engine named {self._name!r} runs already: attach to it")
            self._engine = await self._call(self._start)
            self._tell_unsteered()
            if self._name is not None:
                _RUNNING[self._name] = self._engine
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops an engine without a name; lets go of one with a name."""
        if self._name is None:
            await self.aclose()
        elif self._calls is not None:
            self._calls.shutdown(wait=False)

    async def aclose(self) -> None:
        """Closes every session, ends the threads and finishes the recordings."""
        if self._name is not None:
            _RUNNING.pop(self._name, None)
        if self._engine is not None and not self._engine.closed:
            # Who iterates over the events lets go of the descriptor before it is closed.
            self._closing = True
            self._wake()
            await asyncio.sleep(0)
            await self._call(self._engine.stop)
        if self._calls is not None:
            self._calls.shutdown(wait=False)

    def _start(self) -> _engine.NativeEngine:
        config = self._config
        host, port = config.bind
        return _engine.NativeEngine.start(
            host=host,
            port=port,
            shards=config.shards,
            pin_to=list(config.pin_to),
            tls=None if config.tls is None else (config.tls[0].read_bytes(), config.tls[1].read_bytes()),
            names=list(config.names),
            keys=keys_of(config),
            origins=list(config.origins),
            recordings=config.recordings,
            fsync_ms=config.fsync_ms,
            segment_ms=config.segment_ms,
            recording_tracks=config.recording_tracks,
            max_sessions=config.max_sessions,
            connects_per_address=config.connects_per_address,
            idle_timeout_ms=config.idle_timeout_ms,
            max_heard=config.max_heard,
            reactions=config.reactions,
            reaction_rate=config.reaction_rate,
            mix_frame_ms=config.mix_frame_ms,
            mix_bitrate=config.mix_bitrate,
            websocket=None if config.websocket is None else (config.websocket.bind, config.websocket.plain),
        )

    async def _call(self, function: Callable[[], T]) -> T:
        if self._calls is None:
            raise EngineError("the engine is not entered: use it with `async with`")
        # Shielded: a cancelled caller does not learn the answer, but what it asked for happens in its turn.
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._calls, function))

    @property
    def _native(self) -> _engine.NativeEngine:
        if self._engine is None:
            raise EngineError("the engine is not started: use it with `async with`")
        return self._engine

    @property
    def address(self) -> tuple[str, int]:
        """IP address and UDP port that clients dial."""
        return self._native.address

    @property
    def port(self) -> int:
        """The UDP port."""
        return self._native.address[1]

    @property
    def websocket_port(self) -> int | None:
        """The TCP port of the WebSockets; None: there are none."""
        address = self._native.websocket_address
        return None if address is None else address[1]

    @property
    def certificate_sha256(self) -> bytes:
        """SHA-256 of the leaf certificate in force, for clients that pin it (`serverCertificateHashes`), 32 bytes."""
        return bytes(self._native.certificate_sha256)

    async def add_shard(self, *, core: int | None = None) -> int:
        """Starts one more shard while Spaces are live, its thread on `core` only (None: anywhere); returns its number.

        New connections go there until it has as many as the others. Nobody is moved and nobody loses a frame: Spaces
        keep their shard, and further ones may begin on the new one. `max_sessions` and `connects_per_address` are
        shared out anew and stay what they were in all. Raises `StartFailed` (there are 255, or the system has no more
        threads or sockets), `EnginePanic`, `EngineTimeout`.
        """
        native = self._native
        number = await self._call(lambda: native.add_shard(core))
        self._tell_unsteered()
        return number

    def _tell_unsteered(self) -> None:
        if not self._told and not self._native.steered:
            self._told = True
            _log.warning(
                "the kernel does not steer packets to shards (SO_ATTACH_REUSEPORT_CBPF): shards pass on those of "
                "clients whose address has changed, which costs a little"
            )

    async def apply(self, command: Command) -> Applied:
        """Carries out a command; returns when it is in force on every shard.

        Raises `StaleVersion`, `UnknownSpace`, `SpaceEnded`, `InvalidTable` (nothing changed), ValueError,
        `EnginePanic`, `EngineTimeout`.
        """
        (answer,) = await self.apply_all([command])
        if isinstance(answer, EngineError):
            raise answer
        return answer

    async def apply_all(self, commands: Iterable[Command]) -> list[Applied | EngineError]:
        """Carries out many commands in order, thousands in one call: what a control plane does when it starts.

        One answer each: a command that is refused does not keep the others back. Raises ValueError (a field that cannot
        be meant; nothing was carried out).
        """
        native, given = self._native, list(commands)
        answers = await self._call(lambda: native.apply([row(command) for command in given]))
        return [answer if isinstance(answer, EngineError) else Applied(answer) for answer in answers]

    async def kick(
        self, space: int, account: int, *, sid: int | None = None, code: str = "participant.removed"
    ) -> Applied:
        """Closes every session of the account in the Space (or only `sid`) with `code`, one of `REFUSALS`.

        No frame of theirs is sent after this, until they join again: nothing keeps them out. Nobody there is no error.
        Raises `UnknownSpace`, `SpaceEnded`, ValueError.
        """
        (answer,) = await self._call(lambda: self._native.apply([("kick", space, account, sid, code)]))
        if isinstance(answer, EngineError):
            raise answer
        return Applied(answer)

    async def present(self, space: int, accounts: Iterable[int], *, unnamed: bool = False) -> set[int]:
        """Which of these accounts are in the Space now under their names (`unnamed`: anonymously); of an unknown Space,
        none.
        """
        wanted = ascending(accounts)
        return set(await self._call(lambda: self._native.present(space, wanted, unnamed)))

    async def roster(self, space: int, *, after: int = 0, limit: int = 100) -> Roster:
        """Who is in the Space now under their names, by account: a page of those after `after`.

        Raises ValueError unless `limit` is 1 to 10,000.
        """
        return Roster(*await self._call(lambda: self._native.roster(space, after, limit)))

    async def react(self, space: int, account: int, index: int) -> None:
        """Somebody who is in the Space reacts, by other ways than their session: kind `index`, counted from 0.

        Raises `Refused` with `participant.not_in_space`, `reaction.unknown` or `rate.limited`.
        """
        if not 0 <= index < 256:
            raise ValueError(f"reaction {index} is not in 0 to 255")
        await self._call(lambda: self._native.react(space, account, index))

    async def caption(self, space: int, seat: int, generation: int, payload: bytes) -> None:
        """Shows everybody a line of captions, on the track `captions`: `payload` (JSON; not looked at), 4 KiB at most.

        It is of who sits on `seat` since `generation`, as `SeatTap` told it. The table in force at this moment decides:
        once an `apply` that withdraws `StageRow.caption` has answered, no caption of that seat leaves the engine, late
        ones included. Raises `Refused` with `captions.no_consent`, `space.not_found` or `state.ended`; ValueError (too
        long).
        """
        if len(payload) > MOST_CAPTION_BYTES:
            raise ValueError(f"a caption of {len(payload)} bytes is over {MOST_CAPTION_BYTES}")
        await self._call(lambda: self._native.caption(space, seat, generation, payload))

    async def inject(
        self,
        space: int,
        *,
        named: int = 0,
        anonymous: int = 0,
        guests: int = 0,
        first_account: int = 1 << 40,
        joins_per_second: int = 10_000,
        churn_per_second: int = 0,
        reactions_per_second: int = 0,
    ) -> None:
        """For benches and tests: an audience without connections or sockets, inside the engine's threads.

        The engine treats them as it treats all sessions: they are admitted, counted, listed, told of (if watched),
        kicked, and sent the stage, which goes nowhere. Named and then anonymous ones have the accounts from
        `first_account` on.
        They come at `joins_per_second`; once all are there, `churn_per_second` go and come again. A further call puts
        another audience in the place of this one, which goes as fast as the other comes; a call without people ends it.
        """
        await self._call(
            lambda: self._native.inject(
                space=space,
                named=named,
                anonymous=anonymous,
                guests=guests,
                first_account=first_account,
                joins_per_second=joins_per_second,
                churn_per_second=churn_per_second,
                reactions_per_second=reactions_per_second,
            )
        )

    async def set_token_keys(self, signers: Sequence[TokenSigner] = (), **public_keys: bytes) -> None:
        """Takes tokens of these keys only, from now on."""
        keys = keys_of(
            EngineConfig(
                signers=signers,
                public_keys=public_keys,
                issuer=self._config.issuer,
                audience=self._config.audience,
            )
        )
        await self._call(lambda: self._native.set_keys(keys))

    async def set_certificate(self, chain_pem: bytes, key_pem: bytes) -> None:
        """Shows this certificate (PEM, leaf first) with this key (PEM) to connections that begin from now on.

        Open ones go on with theirs. `certificate_sha256` is the new one's when this returns. Raises
        `CertificateRefused`: they are none, or do not belong together; the old ones stay.
        """
        await self._call(lambda: self._native.set_certificate((chain_pem, key_pem), []))

    async def renew_development_certificate(self, names: Sequence[str]) -> None:
        """Like `set_certificate`, with a new development certificate of two weeks for these names and addresses.

        Who pins the old one needs the new `certificate_sha256` to connect again. Raises `CertificateRefused`.
        """
        await self._call(lambda: self._native.set_certificate(None, list(names)))

    async def events(self) -> AsyncIterator[list[Event]]:
        """Events in batches, until the engine is closed. One iterator at a time.

        Memory is bounded: if nobody iterates, the oldest are dropped and `Resync` comes first.
        """
        native = self._native
        while not native.closed and not self._closing:
            rows, overflowed = native.drain_events()
            batch: list[Event] = [Resync(0, 0)] if overflowed else []
            batch += [EVENTS[kind](*fields) for kind, *fields in rows]
            if batch:
                yield batch
            else:
                await self._readable(native.event_fd)

    async def _readable(self, descriptor: int) -> None:
        """Waits for the eventfd. It is watched only meanwhile: watched on, it would keep the loop busy while the events
        are worked on; and an iterator that is closed late would take the watch of the next one away.
        """
        loop = asyncio.get_running_loop()
        self._ready = loop.create_future()
        loop.add_reader(descriptor, self._wake)
        try:
            await self._ready
        finally:
            loop.remove_reader(descriptor)
            self._ready = None

    def _wake(self) -> None:
        if self._ready is not None and not self._ready.done():
            self._ready.set_result(None)

    async def counts(self, space: int) -> Counts | None:
        """People in a Space now; None if it is unknown. `at_us` is 0."""
        row = await self._call(lambda: self._native.counts(space))
        return None if row is None else Counts(0, space, *row)

    async def stats(self) -> Stats:
        """Counters since the start."""
        shards, mixers = await self._call(self._native.stats)

        return Stats.of(shards, mixers)

    async def recordings(self, space: int) -> list[Recording]:
        """Files of a Space's recording, those still being written too."""
        rows = await self._call(lambda: self._native.recordings(space))
        return [Recording(*row) for row in rows]

    async def drain(self, uri: str = "", *, patience_ms: int = 10_000) -> int:
        """Tells everybody to go to `uri` (empty: to come back), waits, and returns how many sessions are left."""
        return await self._call(lambda: self._native.drain(uri, patience_ms))
