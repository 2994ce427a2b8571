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
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

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


class TokenSigner:
    """Mints join tokens: Ed25519 JWTs (RFC 8037) that the engine verifies. Holds a private key."""

    __slots__ = ("_native", "audience", "issuer")

    def __init__(self, native: _engine.TokenSigner, issuer: str, audience: str) -> None:
        """Use `generate` or `from_seed`."""
        self._native = native
        self.issuer = issuer
        self.audience = audience

    @classmethod
    def generate(cls, *, issuer: str = "spaces", audience: str = "spaces") -> Self:
        """A signer with a new random key; its id is the key's thumbprint (RFC 7638)."""
        return cls(_engine.TokenSigner.generate(issuer=issuer, audience=audience), issuer, audience)

    @classmethod
    def from_seed(cls, kid: str, seed: bytes, *, issuer: str = "spaces", audience: str = "spaces") -> Self:
        """A signer with the private key `seed` (32 bytes, RFC 8032) named `kid`. Raises ValueError."""
        return cls(_engine.TokenSigner.from_seed(kid, seed, issuer=issuer, audience=audience), issuer, audience)

    @property
    def kid(self) -> str:
        """The key id in every token."""
        return self._native.kid

    @property
    def public_key(self) -> bytes:
        """The Ed25519 public key, 32 bytes."""
        return bytes(self._native.public_key)

    def mint(
        self,
        *,
        account: int | None,
        sid: int,
        lifetime_s: float = 3600.0,
        expires_at: int | None = None,
        epoch: int = 0,
        anonymous: bool = False,
        service: bool = False,
    ) -> str:
        """A token for one session id.

        `account` None is a logged-out listener. It expires `lifetime_s` from now, or at `expires_at` (seconds since
        1970); that limits admission only. It carries no role: roles come from the stage table, so that a revoke is
        immediate. `service` is for parts of the deployment, such as its captioner (`SeatTap`): it is nobody, neither
        counted nor listed, is let in where guests are not, and hears only seats whose captions are allowed.
        """
        until = int(time.time() + lifetime_s) if expires_at is None else expires_at
        return self._native.mint(
            account=account, sid=sid, expires_at=until, epoch=epoch, anonymous=anonymous, service=service
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocketConfig:
    """How an engine takes WebSockets: QMux (draft-ietf-quic-qmux) in messages (draft-lcurley-qmux-websocket).

    `wss://` is taken always, with the engine's certificate.
    """

    bind: tuple[str, int] | None = None
    """IP address and TCP port. None: those of QUIC, or any port if QUIC's was any too and is taken."""
    plain: bool = False
    """Take `ws://` from everywhere, because a proxy speaks TLS in front; otherwise from this machine only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """How an engine is set up."""

    bind: tuple[str, int] = ("127.0.0.1", 0)
    """IP address and UDP port; port 0 takes any."""
    signers: Sequence[TokenSigner] = ()
    """Whose tokens are taken, all of one issuer and audience. Without any, only guests come in."""
    public_keys: Mapping[str, bytes] = field(default_factory=dict)
    """Further Ed25519 public keys by `kid`, of signers elsewhere."""
    issuer: str = "spaces"
    """`iss` of the tokens, when `public_keys` alone are given."""
    audience: str = "spaces"
    """`aud` of the tokens, when `public_keys` alone are given."""
    tls: tuple[Path, Path] | None = None
    """PEM files of certificate chain and key. None makes a development certificate of two weeks."""
    names: Sequence[str] = ("localhost", "127.0.0.1")
    """Names and addresses in the development certificate."""
    origins: Sequence[str] = ()
    """Web origins that may connect; empty takes any."""
    shards: int = 1
    """Threads, each with its part of the audience."""
    pin_to: Sequence[int] = ()
    """Core of each shard's thread."""
    recordings: Path | None = None
    """Directory of the recordings of Spaces that have `record` set; None writes none."""
    fsync_ms: int = 1000
    """How often written audio is made durable against power loss, in milliseconds; 0 leaves it to the system.
    A killed process loses nothing that was written, whatever stands here."""
    segment_ms: int = 4000
    """After so long a recording's log goes on in another file, in milliseconds (200 to 60,000). Only the newest file is
    ever written; complete ones may be moved elsewhere."""
    recording_tracks: bool = True
    """Write Ogg Opus tracks of each person and of the mix beside the log. `spaces_ctl.segments.export` makes them from
    the log, too."""
    max_sessions: int = 100_000
    """Sessions at most; further ones are refused with `node.capacity`."""
    connects_per_address: int = 0
    """Connections that one address (of IPv6, a /64) may begin a second, and twice as many at once; 0 sets no limit.

    What is over is refused at its first packet, before any cryptography, and counted as `handshakes_limited`. Mind that
    everybody behind one NAT has one address.
    """
    idle_timeout_ms: int = 20_000
    """A connection without a packet for this long is lost, in milliseconds."""
    max_heard: int = 13
    """The loudest seats that are heard at once."""
    reactions: int = 5
    """Kinds of reactions, 16 at most; which is which is the deployment's."""
    reaction_rate: int = 5
    """Reactions a second that one session may send; twice as many at once."""
    mix_frame_ms: int = 60
    """Length of a packet of the mix: 20, 40 or 60 ms."""
    mix_bitrate: int = 48_000
    """Of the mix, in bit/s: 6,000 to 160,000."""
    websocket: WebSocketConfig | None = None
    """Serve the same sessions over WebSockets, too, for those whom QUIC does not reach; None: over QUIC only."""


@dataclass(frozen=True, slots=True)
class Roster:
    """A page of the people in a Space."""

    listeners: list[tuple[int, int]]
    """Account and session id (of the newest session), ascending by account."""
    next: int | None
    """The `after` of the next page; None at the end."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A file of a recording."""

    path: Path
    kind: Literal["log", "mix", "track"]
    """A file of the segment log (`spaces_ctl.segments` reads it), the Ogg Opus track of the mix, or one person's."""
    seat: int | None
    account: int | None
    part: int
    """Parts begin anew when the process was restarted."""
    start_group: int
    """The file begins at this group (× 20 ms since the Space began)."""
    duration_ms: int
    bytes: int
    finished: bool


@dataclass(frozen=True, slots=True)
class MixerStats:
    """Counters of the mixer's threads since the start."""

    packets: int
    """Packets made."""
    ticks: int
    """Ticks of 20 ms mixed, of all Spaces."""
    dropped: int
    """Ticks that did not fit the mixer's queue: the mix has holes there, the stage has not."""
    spaces: int
    """Spaces in which somebody has talked in the last half minute."""
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Stats:
    """Counters since the start, all shards together; `shards` has each one's own under the same names."""

    sessions: int
    connections: int
    cpu_seconds: float
    datagrams_sent: int
    stream_objects_sent: int
    packets_received: int
    ticks: int
    skipped: int
    admitted: int
    refusals: Mapping[str, int]
    """By policy code."""
    verdicts: Mapping[str, int]
    """What became of uplink frames."""
    mixer: MixerStats
    shards: Sequence[Mapping[str, Any]]


_RUNNING: dict[str, _engine.NativeEngine] = {}


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
            keys=_keys(config),
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
        keys = _keys(
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

        def total(name: str) -> int:
            return sum(shard[name] for shard in shards)

        def merged(name: str) -> dict[str, int]:
            keys = dict.fromkeys(key for shard in shards for key in shard[name])
            return {key: sum(shard[name].get(key, 0) for shard in shards) for key in keys}

        return Stats(
            sessions=total("sessions"),
            connections=total("connections"),
            cpu_seconds=sum(shard["cpu_seconds"] for shard in shards),
            datagrams_sent=total("datagrams_sent"),
            stream_objects_sent=total("stream_objects_sent"),
            packets_received=total("packets_received"),
            ticks=total("ticks"),
            skipped=total("skipped"),
            admitted=total("admitted"),
            refusals=merged("refusals"),
            verdicts=merged("verdicts"),
            mixer=MixerStats(**{name: sum(mixer[name] for mixer in mixers) for name in mixers[0]}),
            shards=shards,
        )

    async def recordings(self, space: int) -> list[Recording]:
        """Files of a Space's recording, those still being written too."""
        rows = await self._call(lambda: self._native.recordings(space))
        return [Recording(*row) for row in rows]

    async def drain(self, uri: str = "", *, patience_ms: int = 10_000) -> int:
        """Tells everybody to go to `uri` (empty: to come back), waits, and returns how many sessions are left."""
        return await self._call(lambda: self._native.drain(uri, patience_ms))


def _keys(config: EngineConfig) -> tuple[str, str, list[tuple[str, bytes]]]:
    """Issuer, audience and keys. Raises ValueError if signers disagree."""
    names = {(signer.issuer, signer.audience) for signer in config.signers} or {(config.issuer, config.audience)}
    if len(names) > 1:
        raise ValueError("all signers must have one issuer and audience")
    ((issuer, audience),) = names
    keys = [(signer.kid, signer.public_key) for signer in config.signers]
    keys += [(kid, bytes(key)) for kid, key in config.public_keys.items()]
    for kid, key in keys:
        if len(key) != 32:
            raise ValueError(f"the public key {kid!r} has {len(key)} bytes, not 32")
    return issuer, audience, keys
