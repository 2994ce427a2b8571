"""E-mail by SMTP."""

from __future__ import annotations

from email.message import EmailMessage
from email.utils import make_msgid
from typing import Literal

import aiosmtplib

__all__ = ["SmtpMailer"]


class SmtpMailer:
    """Sends through one server (RFC 5321), a connection a message."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        sender: str,
        username: str | None = None,
        password: str | None = None,
        security: Literal["tls", "starttls", "none"] = "starttls",
        timeout_s: float = 20.0,
    ) -> None:
        """`sender` is the From address. `none` is for a server on this machine."""
        self._host = host
        self._port = port
        self._sender = sender
        self._username = username
        self._password = password
        self._security = security
        self._timeout_s = timeout_s

    async def send(self, to: str, subject: str, text: str) -> None:
        """Sends one message. Raises OSError, also for what the server refuses."""
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = to
        message["Subject"] = subject
        message["Message-ID"] = make_msgid(domain=self._sender.rpartition("@")[2] or None)
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(text)
        try:
            await aiosmtplib.send(
                message,
                hostname=self._host,
                port=self._port,
                username=self._username,
                password=self._password,
                use_tls=self._security == "tls",
                start_tls=self._security == "starttls",
                timeout=self._timeout_s,
            )
        except aiosmtplib.SMTPException as error:
            raise OSError(f"{self._host}: {error}") from error
