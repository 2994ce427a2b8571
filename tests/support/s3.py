"""An S3-compatible server on loopback, in a process of its own (moto), with a bucket that is new for each use."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

__all__ = ["S3Server", "s3_server"]

_PROGRAM = """
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True)
print(server.port, flush=True)
server.serve_forever()
"""
_buckets = itertools.count(1)


class S3Server:
    """Any key is taken."""

    def __init__(self, port: int) -> None:
        self.port = port

    def bucket(self, *, port: int | None = None) -> str:
        """A new bucket, as the settings name it; `port`: where it is reached."""
        name = f"bucket{next(_buckets)}"
        assert httpx.put(f"http://127.0.0.1:{self.port}/{name}").status_code == 200
        endpoint = f"http://127.0.0.1:{port or self.port}"
        return f"s3://{name}/deployment?region=us-east-1&endpoint={endpoint}"


@contextmanager
def s3_server() -> Iterator[S3Server]:
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        with process.stdout:
            yield S3Server(int(process.stdout.readline()))
    finally:
        process.kill()
        process.wait()
