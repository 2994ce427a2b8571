"""A new certificate in a running engine."""

from __future__ import annotations

import hashlib
import ssl
from pathlib import Path

import pytest

from spaces_ctl.engine import CertificateRefused, ConnectionFailed, Listener, Speaker
from tests.engine.conftest import Run, a_stage, voice
from tests.support.certificates import write_certificate


def test_new_connections_get_it_and_old_ones_go_on(run: Run[None], tmp_path: Path) -> None:
    async def main() -> None:
        chain, key = (file.read_bytes() for file in write_certificate(tmp_path, "new"))
        pin = hashlib.sha256(ssl.PEM_cert_to_DER_cert(chain.decode())).digest()
        async with a_stage() as stage:
            old = stage.pin
            speaker = Speaker(stage.url, token=stage.token(0), seat=0, certificate_sha256=old, complexity=2)
            async with speaker, Listener(stage.url, certificate_sha256=old) as before:
                await stage.engine.set_certificate(chain, key)
                assert stage.pin == pin != old
                with pytest.raises(ConnectionFailed):
                    async with Listener(stage.url, certificate_sha256=old):
                        pass
                async with Listener(stage.url, certificate_sha256=pin) as after:
                    await speaker.speak_pcm(voice(0.5))
                    for listener in (before, after):
                        batch = await anext(aiter(listener.frames()))
                        assert {frame.seat for frame in batch} == {0}

    run(main())


def test_a_bad_pair_is_refused_and_changes_nothing(run: Run[None], tmp_path: Path) -> None:
    async def main() -> None:
        one = [file.read_bytes() for file in write_certificate(tmp_path, "one")]
        two = [file.read_bytes() for file in write_certificate(tmp_path, "two")]
        async with a_stage() as stage:
            old = stage.pin
            for chain, key, why in [
                (one[0], two[1], "KeyMismatch"),
                (b"", one[1], "no certificate"),
                (one[0], b"hello", "not a PEM file with a private key"),
                (one[1], one[0], "no certificate"),
            ]:
                with pytest.raises(CertificateRefused, match=why):
                    await stage.engine.set_certificate(chain, key)
            with pytest.raises(CertificateRefused, match="cannot make a certificate"):
                await stage.engine.renew_development_certificate(["not a name\u00e9"])
            assert stage.pin == old
            async with Listener(stage.url, certificate_sha256=old):
                pass

    run(main())


def test_a_new_development_certificate(run: Run[None]) -> None:
    async def main() -> None:
        async with a_stage() as stage:
            old = stage.pin
            await stage.engine.renew_development_certificate(["127.0.0.1"])
            assert stage.pin != old
            async with Listener(stage.url, certificate_sha256=stage.pin):
                pass

    run(main())
