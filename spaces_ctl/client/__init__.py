"""A typed client of our API for asyncio. Works against any Spaces server; needs nothing of the server's own parts.

async with SpacesClient("https://spaces.example", token=token) as client:
    async for event in client.space("9JqkZbCx3Gq").events():
        print(event.event, event.data)
"""

from spaces_ctl.client.client import SpacesClient
from spaces_ctl.client.errors import (
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    PaymentRequired,
    RateLimited,
    Refused,
    SpacesError,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
    Unreachable,
)
from spaces_ctl.client.space import Space
from spaces_ctl.client.streams import StreamEvent
from spaces_ctl.client.transport import Retries

__all__ = [
    "Conflict",
    "Forbidden",
    "Gone",
    "Invalid",
    "NotFound",
    "PaymentRequired",
    "RateLimited",
    "Refused",
    "Retries",
    "Space",
    "SpacesClient",
    "SpacesError",
    "StreamEvent",
    "Unauthorized",
    "Unavailable",
    "UnexpectedAnswer",
    "Unreachable",
]
