"""Sound cards that are not there: a PulseAudio of one's own, without hardware, for browsers that want a real device.

Firefox plays nothing on a machine without an output: its AudioContext stays `suspended` for ever. And microphones of
this one can be pulled out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.patience import PATIENCE_S

__all__ = ["SoundCard", "sound_card"]

PULSEAUDIO = shutil.which("pulseaudio")


class SoundCard:
    """Outputs that swallow what they get, and microphones that say what is given to them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._microphones: dict[str, tuple[str, str]] = {}
        self.env = {"PULSE_SERVER": f"unix:{directory}/native", "PULSE_COOKIE": f"{directory}/cookie"}
        """What a program needs in its environment to use it."""

    def _control(self, *arguments: str) -> str:
        command = ["pactl", *arguments]
        done = subprocess.run(command, env=os.environ | self.env, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def output(self, name: str) -> str:
        """Plugs one in; what `unplug` takes."""
        return self._control("load-module", "module-null-sink", f"sink_name={name}", "rate=48000")

    def microphone(self, name: str) -> str:
        """Plugs one in: what is played to the output `<name>_says` is what it hears. One of that name goes first."""
        for device in [device for device, (plugged, _) in self._microphones.items() if plugged == name]:
            self.unplug(device)
        says = self.output(f"{name}_says")
        properties = (f"source_name={name}", f"source_properties=device.description={name}")
        source = self._control("load-module", "module-remap-source", f"master={name}_says.monitor", *properties)
        self._microphones[source] = (name, says)
        return source

    def unplug(self, device: str) -> None:
        self._control("unload-module", device)
        if device in self._microphones:
            self._control("unload-module", self._microphones.pop(device)[1])

    def use(self, microphone: str) -> None:
        """As the system's own choice."""
        self._control("set-default-source", microphone)

    @contextmanager
    def saying(self, microphone: str, wav: Path) -> Iterator[None]:
        """The microphone hears this file from now on, once, while the block runs."""
        # Far ahead: on a busy machine `paplay` itself would leave gaps.
        command = ["paplay", f"--device={microphone}_says", "--latency-msec=500", str(wav)]
        process = subprocess.Popen(command, env=os.environ | self.env)
        try:
            yield
        finally:
            process.terminate()
            process.wait()


@contextmanager
def sound_card() -> Iterator[SoundCard]:
    """One output and nothing else, until the block ends. Raises FileNotFoundError where there is no PulseAudio."""
    if PULSEAUDIO is None:
        raise FileNotFoundError("no PulseAudio here: `make test` installs it")
    # Not pytest's: the path of a socket may have 107 bytes at most.
    with tempfile.TemporaryDirectory(prefix="sound-", ignore_cleanup_errors=True) as made:
        directory = Path(made)
        card = SoundCard(directory)
        command = [
            *(PULSEAUDIO, "-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1", "--disable-shm=yes"),
            *("--realtime=no", "--high-priority=no", "--log-level=error"),
            *("-L", f"module-native-protocol-unix socket={directory}/native auth-anonymous=1"),
            *("-L", "module-null-sink sink_name=speaker rate=48000"),
        ]
        own = {"HOME": made, "XDG_RUNTIME_DIR": made, "XDG_CONFIG_HOME": made}
        with (
            (directory / "log").open("wb") as log,
            subprocess.Popen(command, env=os.environ | own, stderr=log) as process,
        ):
            try:
                _wait(process, directory)
                yield card
            finally:
                process.terminate()


def _wait(process: subprocess.Popen[bytes], directory: Path) -> None:
    until = time.monotonic() + PATIENCE_S
    while not (directory / "native").exists():
        if process.poll() is not None or time.monotonic() > until:
            raise AssertionError(f"PulseAudio did not start: {(directory / 'log').read_text()}")
        time.sleep(0.05)
