"""Refusals as `application/problem+json` (RFC 9457): ours by code, the framework's by what they mean, the rest logged.

`type` is `/problems/<code>`, where the code is explained. What nobody foresaw becomes `internal` with an id that stands
in the log beside the traceback.
"""

from __future__ import annotations

import logging
import math
import secrets
from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, SerializationException, ValidationException

from spaces_ctl.policy.codes import CODES
from spaces_ctl.service.answering import SILENT
from spaces_ctl.service.errors import ServiceError

__all__ = ["EXCEPTION_HANDLERS", "PROBLEM_JSON", "FieldError", "InvalidRequest", "Problem", "problem_response"]

PROBLEM_JSON = "application/problem+json"

_log = logging.getLogger("spaces.api")
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")


class FieldError(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that is wrong with a request."""

    where: str
    """`body`, `query`, `path`, `header` or `cookie`."""
    pointer: str
    """JSON pointer (RFC 6901) into the body; elsewhere `/` and the parameter's name. Empty: the whole."""
    detail: str


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What every refusal looks like."""

    type: str
    """`/problems/<code>`."""
    title: str
    status: int
    detail: str
    code: str
    """One of the catalogue; stable."""
    errors: list[FieldError] = []
    """Everything that is wrong with the request (`request.invalid`)."""
    id: str | None = None
    """Of the entry in the server's log (`internal`)."""


class InvalidRequest(ServiceError):
    """The request does not have the form that is documented; `errors` has all that is wrong with it."""

    def __init__(self, errors: list[FieldError]) -> None:
        self.errors = errors
        super().__init__("request.invalid", "; ".join(f"{error.pointer}: {error.detail}" for error in errors[:3]))


def problem_response(error: ServiceError, *, id: str | None = None, headers: Mapping[str, str] = {}) -> Response[bytes]:
    """The answer to a refusal."""
    problem = Problem(
        type=f"/problems/{error.code}",
        title=error.info.title,
        status=error.info.http,
        detail=error.detail,
        code=error.code,
        errors=error.errors if isinstance(error, InvalidRequest) else [],
        id=id,
    )
    answer = {**headers, **getattr(error, "headers", {})}
    if error.retry_after_s is not None:
        answer["retry-after"] = str(max(1, math.ceil(error.retry_after_s)))
    if error.info.http == 401:
        answer["www-authenticate"] = 'Bearer realm="spaces"'  # RFC 6750 section 3
    return Response(msgspec.json.encode(problem), status_code=error.info.http, media_type=PROBLEM_JSON, headers=answer)


def _refused(request: Request[Any, Any, Any], error: ServiceError) -> Response[bytes]:
    return problem_response(error)


def _invalid(request: Request[Any, Any, Any], error: ValidationException) -> Response[bytes]:
    """The framework's list of parameters that are not valid."""
    entries = error.extra if isinstance(error.extra, list) else []
    errors = [_field_error(entry) for entry in entries]
    return problem_response(InvalidRequest(errors or [FieldError(where="query", pointer="", detail=error.detail)]))


def _field_error(entry: Mapping[str, Any]) -> FieldError:
    key, source = str(entry.get("key", "")), entry.get("source", "body")
    if key == "data":
        return FieldError(where="body", pointer="", detail="A body is required")
    return FieldError(
        where=str(getattr(source, "value", source)),
        pointer="/" + key.replace(".", "/"),
        detail=str(entry.get("message", "")),
    )


_BY_STATUS = {
    400: "request.malformed",
    401: "auth.token_missing",
    403: "role.forbidden",
    404: "resource.not_found",
    405: "method.not_allowed",
    413: "request.too_large",
    415: "request.media_type",
    429: "rate.limited",
    503: "store.unavailable",
}


def _framework(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """What the framework refuses before a handler is reached."""
    code = _BY_STATUS.get(error.status_code)
    if code is None:
        return _internal(request, error)
    headers = {"allow": ", ".join(_allowed(request))} if error.status_code == 405 else {}
    return problem_response(ServiceError(code), headers=headers)


def _allowed(request: Request[Any, Any, Any]) -> list[str]:
    """The methods that the path has: RFC 9110 section 15.5.6 asks for them."""
    router = request.app.asgi_router
    found = []
    for method in _METHODS:
        try:
            router.handle_routing(path=request.scope["path"], method=method)
        except HTTPException:
            continue
        found.append(method)
    return found


def _malformed(request: Request[Any, Any, Any], error: SerializationException) -> Response[bytes]:
    return problem_response(ServiceError("request.malformed"))


def _silent(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """The database does not answer; a service need not say so itself."""
    return problem_response(ServiceError("store.unavailable"))


def _internal(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    entry = secrets.token_hex(8)
    # The template, not the path or the query: these may hold credentials.
    path = request.scope.get("path_template") or "(no route)"
    _log.error("internal error %s at %s %s", entry, request.method, path, exc_info=error)
    return problem_response(ServiceError("internal"), id=entry)


EXCEPTION_HANDLERS: dict[int | type[Exception], Any] = {
    ServiceError: _refused,
    ValidationException: _invalid,
    SerializationException: _malformed,
    HTTPException: _framework,
    **dict.fromkeys(SILENT, _silent),
    Exception: _internal,
}
"""For `Litestar(exception_handlers=)`."""

assert set(_BY_STATUS.values()) <= set(CODES)
