"""What the server asks its media worker, and the answers: plain values, so that neither side loads the other's code.

An operation's name is in `operations.OPERATIONS`. Every request may be repeated: what is done already is done.
"""

from __future__ import annotations

import msgspec

__all__ = [
    "Complete",
    "Cut",
    "Delete",
    "Deleted",
    "Done",
    "Figures",
    "Film",
    "Finalize",
    "Finalized",
    "Follow",
    "Forget",
    "OfSpace",
    "Open",
    "Plan",
    "Preview",
    "Previewed",
    "Spooled",
    "Trim",
]


class Open(msgspec.Struct, frozen=True, kw_only=True):
    """How a worker is set up; the first thing that it is told."""

    spool: str
    """Directory in which the engine writes."""
    store: str
    """Where objects are kept, see `objects.Objects.open`."""
    access_key_id: str = ""
    secret_access_key: str = ""
    """Of an S3 store; empty: from the environment."""
    spool_ms: int = 120_000
    """How long what was written stays in the spool at least: live clips are cut from it."""
    uploads: int = 8
    """Objects on their way at once."""
    least_free_bytes: int = 1 << 30
    """Less room than this on the spool's disk is told in the log and in the figures."""


class OfSpace(msgspec.Struct, frozen=True, kw_only=True):
    """A request that reads or writes what is recorded of one Space: the worker learns the key by it."""

    space: int
    key: bytes
    """AES-256 key of the Space's source."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is to become of a Space's sound. Groups are 20 ms, from the Space's start."""

    keep: bool
    """Everything goes to the store, encrypted: it is recorded, or kept for review."""
    public: bool
    """A replay is made."""
    first_group: int = 0
    """The replay begins here."""
    stop_group: int | None = None
    """Recording was stopped here: nothing from here on is in the replay."""
    review: bool = False
    """A copy is kept for review: also what was said after recording was stopped."""


class Follow(OfSpace, frozen=True, kw_only=True):
    """Take what the engine writes of a live Space as it comes. Said again with another plan: the new one holds."""

    plan: Plan


class Finalize(OfSpace, frozen=True, kw_only=True):
    """The Space is over: everything into the store, the replay finished, the spool emptied."""

    plan: Plan
    end_group: int
    """The Space's end by the log of events; what the recorder wrote counts more."""


class Finalized(msgspec.Struct, frozen=True, kw_only=True):
    """What a recording has become."""

    duration_ms: int
    """Of the replay; 0: there is none."""
    loudness_lufs: float = 0.0
    gain_db: float = 0.0
    segments: int = 0


class Cut(OfSpace, frozen=True, kw_only=True):
    """Make a clip; milliseconds since the Space's start."""

    clip: int
    start_ms: int
    end_ms: int
    heading: str = ""
    """Of its picture: the Space's title."""
    line: str = ""
    """Below the picture: by whom, and the comment."""
    last_try: bool = False
    """If what it is made of is gone: it is to be written down that the clip failed."""


class Film(msgspec.Struct, frozen=True, kw_only=True):
    """Make the videos of a clip that is cut; texts as of `Cut`."""

    space: int
    clip: int
    heading: str = ""
    line: str = ""


class Preview(OfSpace, frozen=True, kw_only=True):
    """How a clip would sound; milliseconds since the Space's start."""

    start_ms: int
    end_ms: int


class Previewed(msgspec.Struct, frozen=True, kw_only=True):
    """An Ogg Opus file."""

    audio: bytes


class Complete(OfSpace, frozen=True, kw_only=True):
    """The replay is there: make what nobody had to wait for."""


class Trim(OfSpace, frozen=True, kw_only=True):
    """The replay begins later."""

    start_ms: int
    """After its recording did."""


class Forget(msgspec.Struct, frozen=True, kw_only=True):
    """Follow the Space no more and empty its spool."""

    space: int


class Delete(msgspec.Struct, frozen=True, kw_only=True):
    """Delete what lies in the store below these parts of a Space: `replay`, `clips/3`, `source`; empty: everything."""

    space: int
    parts: tuple[str, ...] = ()


class Deleted(msgspec.Struct, frozen=True, kw_only=True):
    """What was deleted."""

    objects: int
    bytes: int


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing more to say."""


class Spooled(msgspec.Struct, frozen=True, kw_only=True):
    """Spaces of which something lies in the spool."""

    spaces: tuple[int, ...]


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """How the worker is doing."""

    following: int = 0
    """Spaces followed."""
    spool_bytes: int = 0
    free_bytes: int = 0
    """On the spool's disk."""
    low_space: bool = False
    waiting_files: int = 0
    """Finished files that are not in the store yet."""
    lag_s: float = 0.0
    """How much finished sound of one Space is not in the store yet, of the one that waits longest; seconds."""
    uploaded_bytes: int = 0
    uploaded_objects: int = 0
    store_failures: int = 0
    """Attempts that the store did not answer as it should."""
    store_down: bool = False
    """The newest attempt failed."""
