//! Join tokens: any bytes; a good token with changes, which must never pass; any header and claims under a good signature.
#![no_main]

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use ring::signature::Ed25519KeyPair;
use spaces_core::refusal::Refusal;
use spaces_fuzz::input::Input;
use spaces_net::token::{TokenSigner, TokenSpec, TokenVerifier};

const NOW: u64 = 1_800_000_000;
const SEED: [u8; 32] = [7; 32];

static SIGNER: LazyLock<TokenSigner> = LazyLock::new(|| TokenSigner::from_seed("k", &SEED, "us", "spaces").unwrap());
static VERIFIER: LazyLock<TokenVerifier> = LazyLock::new(|| SIGNER.verifier());
static KEY: LazyLock<Ed25519KeyPair> = LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&SEED).unwrap());
static GOOD: LazyLock<String> = LazyLock::new(|| {
    SIGNER.mint(&TokenSpec {
        account: Some(42),
        sid: 9,
        expires_at: NOW + 60,
        epoch: 1,
        anonymous: false,
        service: false,
    })
});

fuzz_target!(|data: &[u8]| {
    let Some((mode, rest)) = data.split_first() else { return };
    match mode % 3 {
        0 => {
            let answer = VERIFIER.verify(rest, NOW);
            assert!(answer.is_err() || rest.starts_with(b"ey"), "{answer:?}");
        }
        1 => {
            let mut token = GOOD.clone().into_bytes();
            let mut input = Input(rest);
            while let (Some(at), Some(to)) = (input.number(), input.byte()) {
                let at = at as usize % token.len();
                if to < 0x80 {
                    token[at] = to;
                } else {
                    token.insert(at, to & 0x7f);
                }
            }
            let answer = VERIFIER.verify(&token, NOW);
            assert_eq!(answer.is_ok(), token == GOOD.as_bytes(), "{answer:?}");
        }
        _ => {
            // The header up to the first NUL, then the claims; both signed.
            let (header, claims) = match rest.iter().position(|byte| *byte == 0) {
                Some(0) => (&br#"{"alg":"EdDSA","kid":"k"}"#[..], &rest[1..]),
                Some(end) => (&rest[..end], &rest[end + 1..]),
                None => return,
            };
            let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
            let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(KEY.sign(signed.as_bytes())));
            match VERIFIER.verify(token.as_bytes(), NOW) {
                Ok(claims_read) => {
                    let text = String::from_utf8_lossy(claims);
                    assert!(claims_read.account.is_none_or(|account| account.0 != 0), "{text}");
                    // Once the time is over, nothing admits.
                    assert!(VERIFIER.verify(token.as_bytes(), u64::MAX).is_err(), "{text}");
                }
                Err(refusal) => assert!(matches!(refusal, Refusal::AuthTokenInvalid | Refusal::AuthTokenExpired)),
            }
        }
    }
});
