"""X's errors: whole answers (HTTP 400 and above) and the parts of a 200 answer that could not be given.

Inside a 200 body only X's nine types may stand: its own client refuses to read any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Response

from spaces_ctl.api.errors import PROBLEM_JSON

__all__ = ["BASE", "XProblem", "invalid_parameter", "not_found"]

BASE = "https://api.x.com/2/problems/"


class XProblem(Exception):
    """An answer that is an error as a whole."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        super().__init__(body.get("detail", ""))
        self.status = status
        self.body = dict(body)

    def response(self, headers: Mapping[str, str]) -> Response[bytes]:
        """As HTTP."""
        return Response(
            msgspec.json.encode(self.body), status_code=self.status, media_type=PROBLEM_JSON, headers=dict(headers)
        )

    @classmethod
    def unauthorized(cls) -> XProblem:
        """No credentials, or wrong ones."""
        return cls(401, {"title": "Unauthorized", "type": "about:blank", "status": 401, "detail": "Unauthorized"})

    @classmethod
    def forbidden(cls, detail: str) -> XProblem:
        """The token lacks scopes."""
        return cls(403, {"title": "Forbidden", "type": "about:blank", "status": 403, "detail": detail})

    @classmethod
    def app_only(cls) -> XProblem:
        """Only a person may ask this."""
        return cls(
            403,
            {
                "title": "Unsupported Authentication",
                "type": BASE + "unsupported-authentication",
                "status": 403,
                "detail": "Authenticating with OAuth 2.0 Application-Only is forbidden for this endpoint. "
                "Supported authentication types are [OAuth 2.0 User Context].",
            },
        )

    @classmethod
    def not_creator(cls, space: str) -> XProblem:
        """Only the creator may ask this."""
        return cls(
            403,
            {
                "title": "Authorization Error",
                "type": BASE + "not-authorized-for-resource",
                "status": 403,
                "detail": f"Sorry, you are not authorized to see the space with id: [{space}].",
                "resource_type": "space",
                "resource_id": space,
                "parameter": "id",
                "value": space,
            },
        )

    @classmethod
    def too_many(cls) -> XProblem:
        """The window's requests are used up."""
        return cls(
            429, {"title": "Too Many Requests", "type": "about:blank", "status": 429, "detail": "Too Many Requests"}
        )

    @classmethod
    def unavailable(cls, status: int) -> XProblem:
        """Something of ours does not work."""
        title = "Service Unavailable" if status == 503 else "Internal Server Error"
        return cls(status, {"title": title, "type": "about:blank", "status": status, "detail": title})


def invalid_parameter(name: str, value: str, message: str) -> XProblem:
    """A parameter that cannot be: `errors` is what tweepy prints."""
    return XProblem(
        400,
        {
            "title": "Invalid Request",
            "type": BASE + "invalid-request",
            "status": 400,
            "detail": "One or more parameters to your request was invalid.",
            "parameter": name,
            "value": value,
            "errors": [{"message": message, "parameters": {name: [value]}}],
        },
    )


def not_found(kind: str, parameter: str, value: str) -> dict[str, Any]:
    """A part of an answer: there is no such space, user, topic, tweet."""
    return {
        "value": value,
        "detail": f"Could not find {kind} with {parameter}: [{value}].",
        "title": "Not Found Error",
        "resource_type": kind,
        "parameter": parameter,
        "resource_id": value,
        "type": BASE + "resource-not-found",
    }
