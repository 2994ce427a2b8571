"""A listener that writes what it hears to a WAV file (48 kHz, mono, 16 bits).

    python examples/listener_writes_wav.py https://127.0.0.1:4433/spaces/4k --certificate SHA256 --seconds 10 heard.wav

Needs nothing but the engine. `--certificate` (hex) pins a development certificate; without it the system's roots
decide.
"""

import argparse
import asyncio
import wave
from pathlib import Path

from spaces_ctl.engine import Listener, ListenerStats


async def listen(url: str, path: Path, seconds: float, certificate: bytes | None = None) -> ListenerStats:
    """Writes `seconds` of the Space's sound, silence included, and returns what was received."""
    with wave.open(str(path), "wb") as file:
        file.setframerate(48_000)
        file.setnchannels(1)
        file.setsampwidth(2)
        async with Listener(url, certificate_sha256=certificate) as listener:
            left = round(seconds * 50)
            async for block in listener.pcm():
                file.writeframesraw(block)
                left -= 1
                if left <= 0:
                    break
            return listener.stats()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("path", type=Path)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--certificate", type=bytes.fromhex)
    args = parser.parse_args()
    stats = asyncio.run(listen(args.url, args.path, args.seconds, args.certificate))
    print(f"heard {stats.frames} frames, {stats.lost} lost, delay {stats.delay_ms} ms")


if __name__ == "__main__":
    main()
