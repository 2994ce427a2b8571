"""HTTP requests to addresses that somebody else chose: never into our own network.

The name is resolved here, every address is judged, and the connection goes to the address that was judged, so a name
that resolves differently the next moment (DNS rebinding) gains nothing. Redirects are not followed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, Self

import httpx

__all__ = ["Answer", "Outbound", "Refused", "check_url"]

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_MOST_BODY = 4096


class Refused(Exception):
    """The address may not be asked."""


class Answer(NamedTuple):
    """What came back."""

    status: int
    retry_after_s: float | None


async def _resolve(host: str, port: int) -> Sequence[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


def check_url(url: str, *, plain_http: bool) -> httpx.URL:
    """The URL if it is one to which we would send at all. Raises Refused."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise Refused(f"not a URL: {error}") from None
    if parsed.scheme not in (("https", "http") if plain_http else ("https",)):
        raise Refused("only https" if not plain_http else "only https and http")
    if not parsed.host or parsed.userinfo or parsed.fragment:
        raise Refused("a host, and neither user nor fragment")
    return parsed


def _public(address: _Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return _public(address.ipv4_mapped)
        # Tunnels carry an IPv4 address that only the gateway sees.
        if address.sixtofour is not None or address.teredo is not None or address in _NAT64:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


class Outbound:
    """Sends POST requests. Use as an async context manager."""

    def __init__(
        self,
        *,
        allow: Sequence[str] = (),
        plain_http: bool = False,
        timeout_s: float = 15.0,
        resolve: Resolve = _resolve,
    ) -> None:
        """`allow`: networks (CIDR) that may be reached although they are not public. Raises ValueError."""
        self._allow: tuple[_Network, ...] = tuple(ipaddress.ip_network(network) for network in allow)
        self.plain_http = plain_http
        self._timeout_s = timeout_s
        self._resolve = resolve
        self._client: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        # No proxy, no .netrc: what the environment says must not change where a request goes. No connection is kept:
        # the pool knows them by address, and one that was made to a name must not serve another name at that address.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._client = httpx.AsyncClient(
            trust_env=False, follow_redirects=False, timeout=self._timeout_s, limits=limits
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Sends and reads at most 4 KiB of the answer. Raises Refused, OSError, TimeoutError, httpx.HTTPError."""
        if self._client is None:
            raise RuntimeError("Outbound is not open")
        parsed = check_url(url, plain_http=self.plain_http)
        async with asyncio.timeout(self._timeout_s):
            address = await self._judge(parsed)
            pinned = parsed.copy_with(host=str(address))
            host = parsed.netloc.decode("ascii")
            request = self._client.build_request(
                "POST",
                pinned,
                content=body,
                headers={**headers, "host": host},
                extensions={"sni_hostname": parsed.host},
            )
            response = await self._client.send(request, stream=True)
            try:
                read = 0
                async for chunk in response.aiter_raw():
                    read += len(chunk)
                    if read >= _MOST_BODY:
                        break
            finally:
                await response.aclose()
        return Answer(response.status_code, _seconds(response.headers.get("retry-after")))

    async def _judge(self, url: httpx.URL) -> _Address:
        port = url.port or (443 if url.scheme == "https" else 80)
        addresses = [ipaddress.ip_address(text.split("%")[0]) for text in await self._resolve(url.host, port)]
        if not addresses:
            raise Refused(f"{url.host} has no address")
        # All have to be allowed, not just one: a name that also points inwards is somebody trying.
        for address in addresses:
            if not _public(address) and not any(address in network for network in self._allow):
                raise Refused(f"{url.host} is {address}, which is not public")
        return addresses[0]


def _seconds(text: str | None) -> float | None:
    try:
        return None if text is None else max(0.0, float(text))
    except ValueError:
        return None
