"""How the service says no."""

from __future__ import annotations

from spaces_ctl.policy.codes import CODES, Code


class ServiceError(Exception):
    """A refusal with one of the policy's codes (`spaces_ctl.policy.codes`)."""

    def __init__(self, code: str, detail: str = "", *, retry_after_s: float | None = None) -> None:
        """`detail` is for people; empty takes the code's title. Raises KeyError for an unknown code."""
        self.code = code
        self.info: Code = CODES[code]
        self.detail = detail or self.info.title
        self.retry_after_s = retry_after_s
        super().__init__(f"{code}: {self.detail}")
