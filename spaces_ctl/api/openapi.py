"""The OpenAPI 3.1 document: what Litestar derives from the handlers, with what it cannot know put right.

Every refusal is documented with its codes. Schemas of our structs come from msgspec itself, which reads the bodies: so
they say exactly what is taken.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from inspect import isclass
from typing import Any, get_args

import msgspec
from litestar import Litestar, Router
from litestar.di import Dependency
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.routes import BaseRoute
from litestar.utils.signature import get_fn_type_hints

from spaces_ctl.api.errors import PROBLEM_JSON, Problem
from spaces_ctl.api.idempotency import is_secret
from spaces_ctl.policy.codes import CODES

__all__ = ["dependencies", "document", "problems"]

_ALWAYS = ("auth.token_invalid", "auth.token_expired", "auth.session_revoked", "auth.scope", "rate.limited", "internal")
_ANSWERS = ("store.unavailable", "graph.unavailable", "node.timeout")
_UNSAFE = ("auth.csrf",)
_WITH_BODY = ("request.malformed", "request.invalid", "request.too_large", "request.media_type", "request.timeout")
_WITH_PARAMETERS = ("request.invalid",)
_METHODS = ("get", "put", "post", "delete", "patch")


def problems(*codes: str) -> dict[int, ResponseSpec]:
    """For a handler's `responses`: the refusals that are its own. Raises KeyError for an unknown code."""
    by_status: defaultdict[int, list[str]] = defaultdict(list)
    for code in codes:
        by_status[CODES[code].http].append(code)
    return {
        status: ResponseSpec(
            data_container=Problem, description=", ".join(sorted(own)), media_type=PROBLEM_JSON, generate_examples=False
        )
        for status, own in by_status.items()
    }


def document(app: Litestar) -> dict[str, Any]:
    """The document as JSON values."""
    tree: dict[str, Any] = app.openapi_schema.to_schema()
    schemas = tree.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(_schemas(_structs(app), schemas))
    optional = {
        handler.operation_id for handler in _handlers(app) if _body_is_optional(handler) and handler.operation_id
    }
    keyless = {handler.operation_id for handler in _handlers(app) if is_secret(handler.opt)}
    contents = {
        handler.operation_id: handler.opt["contents"] for handler in _handlers(app) if "contents" in handler.opt
    }
    for path in tree.get("paths", {}).values():
        for method in _METHODS:
            if (operation := path.get(method)) is not None:
                name = operation.get("operationId")
                if name in contents:
                    _document_contents(operation, contents[name])
                _put_right(operation, method, name in optional, method == "post" and name not in keyless)
    return tree


def dependencies(handlers: Iterable[Any]) -> set[str]:
    """The names of everything that these handlers, or those of these routers, ask the application for."""
    found: set[str] = set()
    for handler in handlers:
        if isinstance(handler, Router):
            found |= dependencies(handler.routes)
        elif isinstance(handler, BaseRoute):
            found |= dependencies(getattr(handler, "route_handlers", None) or [getattr(handler, "route_handler", None)])
        else:
            hints = get_fn_type_hints(handler.fn)
            found |= {
                name
                for name, hint in hints.items()
                if any(isinstance(part, Dependency) for part in getattr(hint, "__metadata__", ()))
            }
    return found


def _put_right(operation: dict[str, Any], method: str, body_is_optional: bool, takes_key: bool) -> None:
    body = operation.get("requestBody")
    if body is not None and body_is_optional:
        body["required"] = False
    codes = [*_ALWAYS, *_ANSWERS]
    if method != "get":
        codes += _UNSAFE
    if takes_key:
        codes += ("idempotency.conflict", "request.invalid")
        operation.setdefault("parameters", []).append(_IDEMPOTENCY_KEY)
    if body is not None:
        codes += _WITH_BODY
    if operation.get("parameters"):
        codes += _WITH_PARAMETERS
    answers = operation.setdefault("responses", {})
    # Litestar's own description of a validation error, which is not what we answer.
    if "application/json" in answers.get("400", {}).get("content", {}):
        del answers["400"]
    # An answer without a body, which Litestar takes for one whose body is null.
    answers.get("204", {}).pop("content", None)
    for code in codes:
        _document(answers, code)


def _document_contents(operation: dict[str, Any], media_types: Iterable[str]) -> None:
    """Of a handler with `opt={"contents": (MEDIA_TYPE, ...)}`: bytes, whole or in part."""
    content: dict[str, Any] = {media_type: {} for media_type in media_types}
    answers = operation.setdefault("responses", {})
    answers["200"] = {"description": "The whole.", "content": content}
    answers["206"] = {"description": "The range that was asked for.", "content": content}
    answers["304"] = {"description": "What the asker has (`If-None-Match`) is still so."}


def _document(answers: dict[str, Any], code: str) -> None:
    status = str(CODES[code].http)
    answer = answers.setdefault(status, {"description": ""})
    told = [one for one in answer["description"].split(", ") if one in CODES]
    answer["description"] = ", ".join(sorted({*told, code}))
    answer.setdefault("content", {})[PROBLEM_JSON] = {"schema": {"$ref": "#/components/schemas/Problem"}}


_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A request with the same key is carried out once (draft-ietf-httpapi-idempotency-key-header-07).",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!#-~]+$"},
}


def _handlers(app: Litestar) -> Iterable[HTTPRouteHandler]:
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            if isinstance(handler, HTTPRouteHandler):
                yield handler


def _body_is_optional(handler: HTTPRouteHandler) -> bool:
    data = handler.parsed_fn_signature.parameters.get("data")
    return data is not None and data.has_default


def _structs(app: Litestar) -> list[type[msgspec.Struct]]:
    """Every struct that a handler reads or answers."""
    found: dict[str, type[msgspec.Struct]] = {"Problem": Problem}
    for handler in _handlers(app):
        signature = handler.parsed_fn_signature
        kinds = [signature.return_type.annotation]
        if (data := signature.parameters.get("data")) is not None:
            kinds.append(data.annotation)
        for kind in kinds:
            for part in (kind, *get_args(kind)):
                if isclass(part) and issubclass(part, msgspec.Struct):
                    found.setdefault(part.__name__, part)
    return list(found.values())


def _schemas(structs: list[type[msgspec.Struct]], known: dict[str, Any]) -> dict[str, Any]:
    _, components = msgspec.json.schema_components(structs, ref_template="#/components/schemas/{name}")
    # Only those that Litestar named alike: a struct of the same name in another module keeps its own.
    return {name: schema for name, schema in components.items() if name in known or name == "Problem"} | {
        name: schema for name, schema in components.items() if name not in known
    }
