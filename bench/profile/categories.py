"""Which part of the work a sample is of, by the functions on its stack. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["CATEGORIES", "OTHER", "Frame", "Sample", "category", "functions", "spread"]


@dataclass(frozen=True, slots=True)
class Frame:
    """One function on a stack; inlined ones count as functions."""

    function: str
    place: str = ""
    """Source file, or the library if that is all that is known."""
    kernel: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at what a thread does: its stack, the innermost function first."""

    thread: str
    frames: tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class _Rule:
    """A sample is of `category` if the innermost functions match `inner` and any on the stack `outer`."""

    category: str
    inner: str = ""
    """Of the innermost frame that is not one of `_THROUGH`."""
    outer: str = ""
    thread: str = ""
    kernel: bool | None = None

    def fits(self, sample: Sample, inner: str, outer: str, kernel: bool) -> bool:
        return (
            (self.kernel is None or self.kernel == kernel)
            and re.search(self.thread, sample.thread) is not None
            and re.search(self.inner, inner) is not None
            and re.search(self.outer, outer) is not None
        )


OTHER = "other"
_SEND = r"sendmmsg|sendmsg"
_CRYPTO = (
    r"aes_|ghash|gcm_|chacha|ring::aead|ring_core|/ring-\d|quinn_proto::crypto|quinn-proto-[^/]*/src/crypto"
    r"|rustls::|/rustls-\d"
)
_COPY = r"mem(cpy|move|set)|__mem|copy_nonoverlapping"
_SEALS, _OPENS = r"\b(encrypt|encrypt_in_place|seal)\b|aes_gcm_enc", r"\b(decrypt|decrypt_in_place|open)\b|aes_gcm_dec"
# The first that fits. What the kernel does is told by the call that led there, all else by the innermost function that
# says something: a copy made for the engine is a copy. Of functions that were inlined only the short name is known, so
# files tell.
_RULES = (
    _Rule(
        "kernel: receive softirq of loopback, listeners' wake-ups", kernel=True, outer=rf"net_rx_action[\s\S]*({_SEND})"
    ),
    _Rule("kernel: sendmmsg", kernel=True, outer=_SEND),
    _Rule("kernel: recvmmsg", kernel=True, outer=r"recvmmsg|recvmsg"),
    _Rule(
        "kernel: waiting and waking (poll, futex, eventfd)", kernel=True, outer=r"poll|futex|eventfd|sys_read|sys_write"
    ),
    _Rule("kernel: page faults", kernel=True, outer=r"page_fault"),
    _Rule("kernel: interrupts and the rest", kernel=True),
    _Rule("mixer", thread=r"^spaces-mixer"),
    _Rule("Python", thread=r"^(?!spaces-)", outer=r"Py|python"),
    _Rule("AEAD + header protection, sending", inner=_CRYPTO, outer=_SEALS),
    _Rule("AEAD + header protection, acknowledgements", inner=_CRYPTO, outer=_OPENS),
    _Rule("AEAD + header protection, either way", inner=_CRYPTO),
    _Rule("copy", inner=_COPY),
    _Rule("allocator", inner=r"malloc|^_?_?(libc_)?c?free|realloc|_int_free|rdl_|rust_(de)?alloc"),
    _Rule("clock", inner=r"clock_gettime|vdso"),
    _Rule("batches for the socket", inner=r"net/src/(udp|outbox)\.rs|(send|recv)mmsg"),
    _Rule("quinn-proto (joins, uplinks, once a second)", outer=r"quinn_proto::|/quinn-proto-"),
    _Rule(
        "acknowledgements: state", outer=r"read_lean|open .*/lean\.rs|on_ack .*/flight\.rs|/lean/(frames|received)\.rs"
    ),
    _Rule("QUIC send state", outer=r"send_lean|seal .*/lean\.rs|/lean/(flight|numbers)\.rs|net/src/congestion\.rs"),
    _Rule("acknowledgements: whose packet", outer=r"net/src/(addressees|group)\.rs|receive .*net/src/endpoint\.rs"),
    _Rule(
        "timers and housekeeping",
        outer=r"net/src/timers\.rs|keep_house|expire_timers|next_timeout|wait .*net/src/endpoint",
    ),
    _Rule(
        "engine, cursors, framing", outer=r"spaces_core::|/core/src/[^/]*\.rs|net/src/(downlink|connections|shard)\.rs"
    ),
)
CATEGORIES = (*dict.fromkeys(rule.category for rule in _RULES), OTHER)
# Functions of the language that only do what their caller wants.
_THROUGH = re.compile(r"/library/(core|alloc|std)/")


def category(sample: Sample) -> str:
    """One of CATEGORIES."""
    if not sample.frames:
        return OTHER
    kernel = sample.frames[0].kernel
    said = [f"{frame.function} {frame.place}" for frame in sample.frames]
    telling = next((text for text in said if re.search(_COPY, text) or not _THROUGH.search(text)), said[0])
    outer = "\n".join(said)
    return next((rule.category for rule in _RULES if rule.fits(sample, telling, outer, kernel)), OTHER)


def spread(samples: Iterable[Sample]) -> Counter[str]:
    """Samples of each category."""
    return Counter(category(sample) for sample in samples)


def functions(samples: Sequence[Sample], most: int) -> list[tuple[str, str, int]]:
    """The innermost functions in which most samples are: category, function, samples."""
    counted = Counter((category(sample), sample.frames[0].function) for sample in samples if sample.frames)
    return [(name, function, count) for (name, function), count in counted.most_common(most)]
