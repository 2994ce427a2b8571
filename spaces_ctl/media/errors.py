"""What a media operation says when it cannot do what was asked."""

from __future__ import annotations

__all__ = ["MediaError", "WorkerGone"]


class MediaError(Exception):
    """An operation was refused or failed; travels from the worker to the server as code and detail.

    Codes: `source.gone` (nothing is there to make it of), `source.key` (what is kept cannot be read with this key),
    `store.unavailable`, `interrupted` (by a deletion), `timeout`, `gone` (no worker), `internal`.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        self.code = code
        self.detail = detail
        super().__init__(f"{code}: {detail}" if detail else code)


class WorkerGone(MediaError):
    """There is no worker, it died over the request, or it did not answer in time: ask again later."""
