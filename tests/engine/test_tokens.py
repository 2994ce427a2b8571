"""Join tokens that an independent library minted, and ours read by it."""

import base64
import time
import warnings
from typing import Any

import pytest
from joserfc import jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import OKPKey

from spaces_ctl.engine import (
    Engine,
    EngineConfig,
    Listener,
    Refused,
    TokenSigner,
    UpsertSpace,
    space_name,
)
from tests.engine.conftest import SPACE, Run

ISSUER, AUDIENCE = "https://spaces.test", "spaces"


def mint(key: OKPKey, header: dict[str, Any] | None = None, **change: Any) -> str:
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "42",
        "sid": "7",
        "exp": int(time.time()) + 60,
        "epoch": 0,
        "anon": False,
        **change,
    }
    claims = {name: value for name, value in claims.items() if value is not None}
    with warnings.catch_warnings():
        # The older name of the algorithm, which others still write, is deprecated (RFC 9864).
        warnings.simplefilter("ignore", SecurityWarning)
        return jwt.encode(
            {"alg": "Ed25519", "kid": "k1", **(header or {})}, claims, key, algorithms=["EdDSA", "Ed25519"]
        )


def public(key: OKPKey) -> bytes:
    return base64.urlsafe_b64decode(str(key.as_dict(private=False)["x"]) + "=")


def test_tokens_of_another_library_are_taken_or_refused_for_the_right_reason(run: Run[None]) -> None:
    async def main() -> None:
        key, stranger = OKPKey.generate_key("Ed25519"), OKPKey.generate_key("Ed25519")
        config = EngineConfig(public_keys={"k1": public(key)}, issuer=ISSUER, audience=AUDIENCE)
        async with Engine(config) as engine:
            await engine.apply(UpsertSpace(space=SPACE, version=1, guests=False))
            url = f"https://127.0.0.1:{engine.port}/spaces/{space_name(SPACE)}"

            async def verdict(token: str) -> str:
                try:
                    async with Listener(url, token=token, certificate_sha256=engine.certificate_sha256):
                        return "in"
                except Refused as refused:
                    return refused.code

            for token, expected in [
                (mint(key), "in"),
                (mint(key, {"alg": "EdDSA"}), "in"),
                (mint(key, aud=["other", AUDIENCE]), "in"),
                (mint(key, epoch=None, anon=None), "in"),
                (mint(key, exp=int(time.time()) - 5), "in"),
                (mint(key, exp=int(time.time()) - 60), "auth.token_expired"),
                (mint(key, iss="https://elsewhere"), "auth.token_invalid"),
                (mint(key, aud="other"), "auth.token_invalid"),
                (mint(key, sub="forty-two"), "auth.token_invalid"),
                (mint(key, sid=None), "auth.token_invalid"),
                (mint(key, {"kid": "k2"}), "auth.token_invalid"),
                (mint(stranger), "auth.token_invalid"),
                (mint(key) + "A", "auth.token_invalid"),
            ]:
                assert await verdict(token) == expected, token
            # Keys are replaced at once, for everybody.
            await engine.set_token_keys(k1=public(stranger))
            assert await verdict(mint(key)) == "auth.token_invalid"
            assert await verdict(mint(stranger)) == "in"

    run(main())


def test_another_library_reads_our_tokens() -> None:
    signer = TokenSigner.from_seed("k1", bytes(range(32)), issuer=ISSUER, audience=AUDIENCE)
    token = signer.mint(account=2**63, sid=2**64 - 1, expires_at=2_000_000_000, epoch=3, anonymous=True)
    x = base64.urlsafe_b64encode(signer.public_key).rstrip(b"=").decode()
    read = jwt.decode(token, OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": x}), algorithms=["Ed25519"])
    assert read.header == {"alg": "Ed25519", "kid": "k1", "typ": "JWT"}
    assert read.claims == {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(2**63),
        "sid": str(2**64 - 1),
        "exp": 2_000_000_000,
        "epoch": 3,
        "anon": True,
    }


def test_a_key_that_is_none_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="key id"):
        TokenSigner.from_seed("", bytes(32))
    with pytest.raises(ValueError, match="32"):
        TokenSigner.from_seed("k", bytes(31))
