"""What can go wrong between client and server, as exceptions.

SpacesError
├── Unreachable          no answer at all
├── UnexpectedAnswer     an answer that is not this API's
└── Refused              the server said no: `code`, `detail`, `status`
    ├── Invalid          400, 405, 413, 415, 416, 422
    ├── Unauthorized     401
    ├── PaymentRequired  402
    ├── Forbidden        403
    ├── NotFound         404
    ├── Conflict         409
    ├── Gone             410
    ├── RateLimited      429, `retry_after_s`
    └── Unavailable      408, 5xx, `retry_after_s`
"""

from __future__ import annotations

from typing import Any

import msgspec

from spaces_ctl.policy.codes import CODES

__all__ = [
    "Conflict",
    "Forbidden",
    "Gone",
    "Invalid",
    "NotFound",
    "PaymentRequired",
    "RateLimited",
    "Refused",
    "SpacesError",
    "Unauthorized",
    "Unavailable",
    "UnexpectedAnswer",
    "Unreachable",
    "refusal",
    "refusal_by_code",
]


class SpacesError(Exception):
    """Anything that this client raises."""


class Unreachable(SpacesError):
    """The server did not answer: wrong address, not running, network, time-out."""


class UnexpectedAnswer(SpacesError):
    """Something answered, but not this API, or not this version of it."""


class Refused(SpacesError):
    """The server's no. `code` is one of `spaces_ctl.policy.codes`, of a newer server perhaps an unknown one."""

    def __init__(
        self, code: str, detail: str, status: int, *, retry_after_s: float | None = None, errors: tuple[Any, ...] = ()
    ) -> None:
        self.code = code
        self.detail = detail
        self.status = status
        self.retry_after_s = retry_after_s
        """When the server wants to be asked again, in seconds."""
        self.errors = errors
        """Which parts of the request were wrong, as the server tells them."""
        super().__init__(f"{code}: {detail}")


class Invalid(Refused):
    """The request itself is wrong."""


class Unauthorized(Refused):
    """Sign in first, or again."""


class PaymentRequired(Refused):
    """A ticket is needed, or there are none."""


class Forbidden(Refused):
    """Not by this account, or not against that one."""


class NotFound(Refused):
    """There is no such thing."""


class Conflict(Refused):
    """Not as things are now."""


class Gone(Refused):
    """The event stream does not reach back that far (`stream.position`): read the Space, then begin from now."""


class RateLimited(Refused):
    """Too many requests; the client has waited and tried again before it gave up."""


class Unavailable(Refused):
    """The server, its database or its capacity, for now."""


_BY_STATUS: dict[int, type[Refused]] = {
    400: Invalid,
    401: Unauthorized,
    402: PaymentRequired,
    403: Forbidden,
    404: NotFound,
    405: Invalid,
    408: Unavailable,
    409: Conflict,
    410: Gone,
    413: Invalid,
    415: Invalid,
    416: Invalid,
    422: Invalid,
    429: RateLimited,
}


class _Problem(msgspec.Struct):
    """RFC 9457, with our members."""

    code: str
    title: str = ""
    detail: str = ""
    errors: tuple[Any, ...] = ()


def refusal(status: int, body: bytes, retry_after_s: float | None) -> SpacesError:
    """The exception for an answer of 400 or more."""
    try:
        problem = msgspec.json.decode(body, type=_Problem)
    except msgspec.DecodeError:
        # A proxy's page, or no JSON at all.
        start = body[:80].decode(errors="replace").strip()
        if status >= 500:
            return Unavailable("internal", f"HTTP {status}: {start}", status, retry_after_s=retry_after_s)
        return UnexpectedAnswer(f"HTTP {status} without a problem document: {start!r}")
    kind = _kind(problem.code, status)
    detail = problem.detail or problem.title or _title(problem.code)
    return kind(problem.code, detail, status, retry_after_s=retry_after_s, errors=problem.errors)


def refusal_by_code(code: str, detail: str = "") -> Refused:
    """The exception for a refusal that came without an HTTP status, on a stream."""
    known = CODES.get(code)
    status = known.http if known else 500
    return _kind(code, status)(code, detail or _title(code), status)


def _kind(code: str, status: int) -> type[Refused]:
    known = CODES.get(code)
    return _BY_STATUS.get(known.http if known else status, Unavailable if status >= 500 else Refused)


def _title(code: str) -> str:
    known = CODES.get(code)
    return known.title if known else ""
