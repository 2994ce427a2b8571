"""Requests per second and CPU per request of hot reads and a command, beside a bare Litestar handler, in one run.

    python -m bench.api [--seconds 5] [--json out.json]

The server runs in a process of its own (uvicorn, uvloop, httptools; SQLite in a temporary directory; a fake engine),
the load in this one: 16 connections that ask again as soon as they are answered. CPU is the server process's own, user
and system, over the measured time; it is the figure to trust on a busy machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import platform
import socket
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil

CONNECTIONS = 16
WARM_UP_S = 0.5


def serve(listener: socket.socket, ready: Connection) -> None:
    """The server process: the API on one port, a bare handler under `/bare`."""
    import uvicorn
    from litestar import Litestar, get

    from tests.support.api_world import ANN, HOST, ApiWorld, path

    async def run() -> None:
        with tempfile.TemporaryDirectory() as directory:
            world = await ApiWorld.open(Path(directory))
            space = await world.live()
            await world.speaks(space, ANN)

            @get("/bare")
            async def bare() -> dict[str, str]:
                return {"status": "ok"}

            plain = Litestar([bare], openapi_config=None, logging_config=None)

            async def both(scope: Any, receive: Any, send: Any) -> None:
                app = plain if scope.get("path") == "/bare" else world.app
                await app(scope, receive, send)

            config = uvicorn.Config(both, loop="uvloop", http="httptools", access_log=False, log_level="error")
            server = uvicorn.Server(config)
            ready.send({"space": path(space), "host": HOST})
            await server.serve(sockets=[listener])
            await world.aclose()

    import uvloop

    uvloop.run(run())


async def load(port: int, request: bytes, seconds: float) -> tuple[int, float]:
    """How many answers there were, and in what time."""
    answers = 0
    until = time.perf_counter() + seconds

    async def ask() -> None:
        nonlocal answers
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < until:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith((b"HTTP/1.1 20",)):
                raise RuntimeError(head.decode())
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            answers += 1
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(ask() for _ in range(CONNECTIONS)))
    return answers, time.perf_counter() - began


def http(method: str, path: str, who: int | None = None, body: Any = None) -> bytes:
    """A request's bytes."""
    from tests.support.api_world import bearer

    headers = {"host": "bench", **bearer(who)}
    content = b""
    if body is not None:
        content = json.dumps(body).encode()
        headers |= {"content-type": "application/json"}
    headers["content-length"] = str(len(content))
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + content


async def measure(port: int, process: psutil.Process, requests: dict[str, bytes], seconds: float) -> dict[str, Any]:
    """Each request in turn, the bare one first and last."""
    figures: dict[str, Any] = {}
    for name, request in requests.items():
        await load(port, request, WARM_UP_S)
        before = process.cpu_times()
        answers, took = await load(port, request, seconds)
        after = process.cpu_times()
        cpu = after.user + after.system - before.user - before.system
        figures[name] = {
            "requests": answers,
            "requests_per_second": round(answers / took, 1),
            "cpu_us_per_request": round(cpu / answers * 1e6, 1),
        }
    bare = (figures["bare handler"]["cpu_us_per_request"] + figures["bare handler, again"]["cpu_us_per_request"]) / 2
    for figure in figures.values():
        figure["cpu_ratio_to_bare"] = round(figure["cpu_us_per_request"] / bare, 2)
    return figures


def main() -> None:
    """Runs and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="measured time for each request")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", 0))
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("fork").Process(target=serve, args=(listener, there))
    server.start()
    try:
        if not here.poll(30):
            raise RuntimeError("the server did not start")
        world = here.recv()
        space, host = world["space"], world["host"]
        time.sleep(0.5)  # uvicorn begins to accept
        bare = http("GET", "/bare")
        requests = {
            "bare handler": bare,
            "GET a Space, guest": http("GET", space),
            "GET a Space, host": http("GET", space, host),
            "GET people": http("GET", f"{space}/people", host),
            "PUT a setting (unchanged)": http("PUT", f"{space}/settings/mic-access", host, {"open": True}),
            "PATCH the title (committed)": http("PATCH", space, host, {"description": "x"}),
            "bare handler, again": bare,
        }
        assert server.pid is not None
        port = listener.getsockname()[1]
        figures = asyncio.run(measure(port, psutil.Process(server.pid), requests, options.seconds))
    finally:
        server.terminate()
        server.join()
    result = {
        "python": platform.python_version(),
        "cores": psutil.cpu_count(),
        "load_average": psutil.getloadavg()[0],
        "seconds": options.seconds,
        "figures": figures,
    }
    print(json.dumps(result, indent=2))
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
