"""The page's server: files, where to connect, and seats for visitors."""

import pytest
from litestar.testing import TestClient

from spaces_ctl.demo.web import WEB_APP, Seats, application


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_seat_goes_to_one_visitor_at_a_time(clock: Clock) -> None:
    seats = Seats([3, 4], clock)
    assert [seats.reserve(), seats.reserve(), seats.reserve()] == [3, 4, None]
    seats.joined(4)
    clock.now += 31
    # Seat 3 was never used and is free again; seat 4 is taken for as long as its holder stays.
    assert [seats.reserve(), seats.reserve()] == [3, None]
    assert seats.taken == [4]
    seats.left(4)
    assert seats.reserve() == 4


def test_speakers_of_the_demo_take_no_visitors_seat(clock: Clock) -> None:
    seats = Seats([3, 4], clock)
    seats.joined(0)
    assert seats.taken == []


def test_the_page_its_way_in_and_its_seat() -> None:
    url = "https://127.0.0.1:1/spaces/a"
    join = {"url": url, "certificate_sha256_hex": "00", "token": None, "space": "a", "title": "T"}
    given = iter([{"seat": 3, "token": "t"}, None])
    with TestClient(application(lambda: join, lambda: next(given))) as client:
        answer = client.get("/demo/join.json?x=1")
        assert answer.json() == join
        assert answer.headers["cache-control"] == "no-store"
        assert client.post("/demo/seat").json() == {"seat": 3, "token": "t"}
        full = client.post("/demo/seat")
        assert (full.status_code, full.json()["detail"]) == (409, "every seat is taken")
        assert client.get("/nothing").status_code == 404
        assert client.get("/..%2f..%2fcli.py").status_code == 404
        if (WEB_APP / "index.html").exists():
            page = client.get("/")
            assert page.status_code == 200
            assert page.headers["content-type"].startswith("text/html")
            assert "javascript" in client.get("/app.js").headers["content-type"]
