from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import pytest

from spaces_ctl.service.outbound import Outbound, Refused, check_url
from tests.support.receiver import receiving


def resolver(*addresses: str) -> Callable[[str, int], Awaitable[Sequence[str]]]:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return addresses

    return resolve


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
        "::1",
        "::",
        "fe80::1",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
    ],
)
async def test_addresses_that_are_not_public_are_refused(address: str) -> None:
    async with Outbound(resolve=resolver(address)) as outbound:
        with pytest.raises(Refused, match="not public"):
            await outbound.post("https://hook.example/", b"{}", {})


async def test_one_bad_address_among_good_ones_is_enough_to_refuse() -> None:
    async with Outbound(resolve=resolver("93.184.216.34", "10.0.0.1")) as outbound:
        with pytest.raises(Refused, match=r"10\.0\.0\.1"):
            await outbound.post("https://hook.example/", b"{}", {})


async def test_the_connection_goes_to_the_address_that_was_judged_although_the_name_points_elsewhere_by_then() -> None:
    asked: list[str] = []

    async def rebinding(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

    async with (
        receiving() as receiver,
        Outbound(allow=["127.0.0.1/32"], plain_http=True, resolve=rebinding) as outbound,
    ):
        url = f"http://hook.example:{receiver.port}/x?y=1"
        assert (await outbound.post(url, b"{}", {"content-type": "application/json"})).status == 200
        [got] = receiver.got
        assert got.host == f"hook.example:{receiver.port}", "the receiver sees its own name"
        assert got.path == "/x?y=1"
        assert asked == ["hook.example"], "resolved once a request"
        with pytest.raises(Refused):
            await outbound.post(url, b"{}", {})


async def test_redirects_are_answers_not_directions() -> None:
    async with receiving() as receiver, Outbound(allow=["127.0.0.0/8"], plain_http=True) as outbound:
        receiver.headers = f"location: http://127.0.0.1:{receiver.port}/inside\r\n"
        receiver.answer = lambda _: 307
        assert (await outbound.post(receiver.url, b"{}", {})).status == 307
        assert len(receiver.got) == 1


async def test_a_receiver_that_does_not_answer_costs_the_timeout_and_no_more() -> None:
    async with receiving() as receiver, Outbound(allow=["127.0.0.0/8"], plain_http=True, timeout_s=0.2) as outbound:

        async def hang() -> None:
            await receiver.never.wait()

        receiver.answer = lambda _: hang()
        with pytest.raises(TimeoutError):
            await outbound.post(receiver.url, b"{}", {})


def test_urls_to_which_nothing_is_sent() -> None:
    assert check_url("https://example.com/a", plain_http=False).host == "example.com"
    for url in ("http://example.com/", "https://a:b@example.com/", "https:///x", "file:///etc/passwd", "https://e/#f"):
        with pytest.raises(Refused):
            check_url(url, plain_http=False)
