"""OAuth's own errors, by the names of RFC 6749 sections 4.1.2.1 and 5.2."""

from __future__ import annotations

__all__ = ["OAuthError"]


class OAuthError(Exception):
    """A refusal towards an app."""

    def __init__(self, error: str, description: str, *, redirect: str | None = None) -> None:
        """`redirect` is where the browser carries the refusal, when it is safe to send it there."""
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description
        self.redirect = redirect

    @property
    def status(self) -> int:
        """The token endpoint's HTTP status."""
        return 401 if self.error == "invalid_client" else 400
