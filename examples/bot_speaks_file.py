"""A bot that speaks a WAV file (48 kHz, mono, 16 bits) on a seat, in real time.

    python examples/bot_speaks_file.py URL --token TOKEN --seat 1 --certificate SHA256 hello.wav

Needs nothing but the engine. `--certificate` (hex) pins a development certificate; without it the system's roots
decide.
"""

import argparse
import asyncio
import wave
from pathlib import Path

from spaces_ctl.engine import Speaker


def read_wav(path: Path) -> bytes:
    """The file's samples. Raises ValueError if they are not what a Space speaks."""
    with wave.open(str(path), "rb") as file:
        shape = file.getframerate(), file.getnchannels(), file.getsampwidth()
        if shape != (48_000, 1, 2):
            raise ValueError(f"{path} has (rate, channels, bytes) {shape}, not (48000, 1, 2)")
        return file.readframes(file.getnframes())


async def speak(url: str, token: str, seat: int, path: Path, certificate: bytes | None = None) -> int:
    """Speaks the file, and returns how many frames were sent."""
    sound = read_wav(path)
    async with Speaker(url, token=token, seat=seat, certificate_sha256=certificate) as speaker:
        await speaker.speak_pcm(sound)
        await speaker.flush()
        return speaker.stats().sent


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("path", type=Path)
    parser.add_argument("--token", required=True)
    parser.add_argument("--seat", type=int, default=0)
    parser.add_argument("--certificate", type=bytes.fromhex)
    args = parser.parse_args()
    sent = asyncio.run(speak(args.url, args.token, args.seat, args.path, args.certificate))
    print(f"spoke {sent} frames")


if __name__ == "__main__":
    main()
