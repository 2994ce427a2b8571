//! Join tokens: JSON Web Tokens (RFC 7519) in JWS compact form, signed with Ed25519 (RFC 8037).
//!
//! Claims: `iss`, `aud` (the deployment's), `sub` (decimal account id; absent or `guest`: logged out), `sid` (decimal u64),
//! `exp` (seconds since 1970), `epoch` (u64, default 0), `anon` (default false), `svc` (default false: a service of the deployment, see
//! [`Claims::service`]). No role: roles come from the stage table
//! alone, so that a revoke is immediate. `exp` limits admission only.
//!
//! Ed25519 is ring's, base64 and JSON are libraries'; the strict order of checks between them is here, because the usual JWT
//! crate reads the clock by itself, needs a process-wide provider and does not know the name `Ed25519` (RFC 9864).

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use spaces_core::admission::Claims;
use spaces_core::ids::{AccountId, Sid};
use spaces_core::refusal::Refusal;
use thiserror::Error;

/// Longest token that is looked at, in bytes. Ours are about 350.
pub const MAX_TOKEN: usize = 2_048;
/// Longest key id, in bytes.
pub const MAX_KID: usize = 64;
/// How far apart the clocks of signer and verifier may be, in seconds.
pub const LEEWAY: u64 = 30;

/// Why a key could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// The system has no randomness to give.
    #[error("no randomness")]
    Random,
    /// Not an Ed25519 seed.
    #[error("not an Ed25519 seed")]
    Seed,
    /// The key id is empty or longer than [`MAX_KID`].
    #[error("key id must have 1 to {MAX_KID} bytes")]
    Kid,
}

/// Checks join tokens against the deployment's public keys.
#[derive(Clone, Debug)]
pub struct TokenVerifier {
    issuer: String,
    audience: String,
    keys: HashMap<String, UnparsedPublicKey<[u8; 32]>>,
}

#[derive(Deserialize)]
struct JoseHeader<'a> {
    #[serde(borrow)]
    alg: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    kid: std::borrow::Cow<'a, str>,
    // RFC 7515 §4.1.11: extensions that must be understood; we understand none.
    crit: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
struct Payload {
    iss: String,
    aud: Audience,
    sub: Option<String>,
    sid: String,
    exp: u64,
    nbf: Option<u64>,
    #[serde(default)]
    epoch: u64,
    #[serde(default)]
    anon: bool,
    #[serde(default)]
    svc: bool,
}

impl TokenVerifier {
    /// `keys`: key id → Ed25519 public key. Several, so that keys can be rotated without a gap.
    #[must_use]
    pub fn new(
        issuer: impl Into<String>,
        audience: impl Into<String>,
        keys: impl IntoIterator<Item = (String, [u8; 32])>,
    ) -> Self {
        let keys = keys.into_iter().map(|(kid, key)| (kid, UnparsedPublicKey::new(&ED25519, key))).collect();
        Self { issuer: issuer.into(), audience: audience.into(), keys }
    }

    /// Checks a token at `now_unix` (seconds since 1970) and returns what it says.
    ///
    /// # Errors
    /// [`Refusal::AuthTokenMissing`] for no bytes at all, [`Refusal::AuthTokenExpired`] for a token that is in order but too old,
    /// [`Refusal::AuthTokenInvalid`] for everything else.
    pub fn verify(&self, jwt: &[u8], now_unix: u64) -> Result<Claims, Refusal> {
        if jwt.is_empty() {
            return Err(Refusal::AuthTokenMissing);
        }
        let payload = self.signed_payload(jwt).ok_or(Refusal::AuthTokenInvalid)?;
        let payload: Payload = serde_json::from_slice(&payload).map_err(|_| Refusal::AuthTokenInvalid)?;
        let for_us = match &payload.aud {
            Audience::One(audience) => *audience == self.audience,
            Audience::Many(audiences) => audiences.contains(&self.audience),
        };
        if payload.iss != self.issuer || !for_us || payload.nbf.is_some_and(|nbf| nbf > now_unix.saturating_add(LEEWAY))
        {
            return Err(Refusal::AuthTokenInvalid);
        }
        let account = match payload.sub.as_deref() {
            None | Some("guest") => None,
            Some(text) => Some(AccountId(decimal(text).filter(|id| *id != 0).ok_or(Refusal::AuthTokenInvalid)?)),
        };
        let sid = Sid(decimal(&payload.sid).ok_or(Refusal::AuthTokenInvalid)?);
        if payload.exp.saturating_add(LEEWAY) <= now_unix {
            return Err(Refusal::AuthTokenExpired);
        }
        Ok(Claims { account, sid, epoch: payload.epoch, anonymous: payload.anon, service: payload.svc })
    }

    /// The payload's bytes, if the signature over them is that of a known key.
    fn signed_payload(&self, jwt: &[u8]) -> Option<Vec<u8>> {
        if jwt.len() > MAX_TOKEN {
            return None;
        }
        let end = jwt.iter().rposition(|byte| *byte == b'.')?;
        let (signed, signature) = (jwt.get(..end)?, jwt.get(end + 1..)?);
        let dot = signed.iter().position(|byte| *byte == b'.')?;
        let (header, payload) = (signed.get(..dot)?, signed.get(dot + 1..)?);
        let header = URL_SAFE_NO_PAD.decode(header).ok()?;
        let header: JoseHeader<'_> = serde_json::from_slice(&header).ok()?;
        // RFC 9864 names the curve; RFC 8037 named the family only. The key says which it is.
        if !matches!(&*header.alg, "EdDSA" | "Ed25519") || header.crit.is_some() || header.kid.len() > MAX_KID {
            return None;
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        self.keys.get(&*header.kid)?.verify(signed, &signature).ok()?;
        URL_SAFE_NO_PAD.decode(payload).ok()
    }
}

/// A u64 in its one decimal form.
fn decimal(text: &str) -> Option<u64> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
    canonical.then(|| text.parse().ok())?
}

/// What a token shall say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenSpec {
    /// The account; `None` for a guest.
    pub account: Option<u64>,
    /// The session id. The newest connection of a session wins.
    pub sid: u64,
    /// Until when it admits, in seconds since 1970.
    pub expires_at: u64,
    /// The deployment's token epoch.
    pub epoch: u64,
    /// Listens unnamed; takes no seat.
    pub anonymous: bool,
    /// A part of the deployment itself, such as its captioner, or (`anonymous`) its broadcaster: see [`Claims::service`].
    pub service: bool,
}

/// Signs join tokens, for embedders without a token service of their own.
#[derive(Debug)]
pub struct TokenSigner {
    kid: String,
    issuer: String,
    audience: String,
    key: Ed25519KeyPair,
}

#[derive(Serialize)]
struct Minted<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: String,
    sid: String,
    exp: u64,
    epoch: u64,
    anon: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    svc: bool,
}

impl TokenSigner {
    /// With the key that `seed` (the private key of RFC 8032) stands for.
    ///
    /// # Errors
    /// [`KeyError::Kid`] for a key id that no verifier would take.
    pub fn from_seed(
        kid: impl Into<String>,
        seed: &[u8; 32],
        issuer: impl Into<String>,
        audience: impl Into<String>,
    ) -> Result<Self, KeyError> {
        let kid = kid.into();
        if kid.is_empty() || kid.len() > MAX_KID {
            return Err(KeyError::Kid);
        }
        let key = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| KeyError::Seed)?;
        Ok(Self { kid, issuer: issuer.into(), audience: audience.into(), key })
    }

    /// With a new key, whose id is its thumbprint (RFC 7638, RFC 8037 §2).
    ///
    /// # Errors
    /// [`KeyError::Random`] if the system gives no randomness.
    pub fn generate(issuer: impl Into<String>, audience: impl Into<String>) -> Result<Self, KeyError> {
        let mut seed = [0u8; 32];
        SystemRandom::new().fill(&mut seed).map_err(|_| KeyError::Random)?;
        let mut signer = Self::from_seed("-", &seed, issuer, audience)?;
        signer.kid = thumbprint(&signer.public_key());
        Ok(signer)
    }

    /// The key id that stands in every token.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The Ed25519 public key, for [`TokenVerifier::new`].
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        let mut key = [0u8; 32];
        for (to, from) in key.iter_mut().zip(self.key.public_key().as_ref()) {
            *to = *from;
        }
        key
    }

    /// A verifier of this signer's tokens.
    #[must_use]
    pub fn verifier(&self) -> TokenVerifier {
        TokenVerifier::new(&*self.issuer, &*self.audience, [(self.kid.clone(), self.public_key())])
    }

    /// A signed token.
    #[must_use]
    pub fn mint(&self, spec: &TokenSpec) -> String {
        let header = serde_json::json!({ "alg": "Ed25519", "kid": self.kid, "typ": "JWT" }).to_string();
        let payload = Minted {
            iss: &self.issuer,
            aud: &self.audience,
            sub: spec.account.map_or_else(|| "guest".to_owned(), |id| id.to_string()),
            sid: spec.sid.to_string(),
            exp: spec.expires_at,
            epoch: spec.epoch,
            anon: spec.anonymous,
            svc: spec.service,
        };
        // Strings, integers and a bool under fixed keys: there is nothing that JSON could refuse.
        let payload = serde_json::to_string(&payload).unwrap_or_default();
        let mut token = URL_SAFE_NO_PAD.encode(header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut token);
        let signature = self.key.sign(token.as_bytes());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature.as_ref(), &mut token);
        token
    }
}

/// RFC 7638 thumbprint of an Ed25519 key: SHA-256 over its required members in order of name.
fn thumbprint(public: &[u8; 32]) -> String {
    let jwk = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, URL_SAFE_NO_PAD.encode(public));
    URL_SAFE_NO_PAD.encode(digest(&SHA256, jwk.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn signer() -> TokenSigner {
        TokenSigner::from_seed("k1", &[7; 32], "https://spaces.test", "spaces").unwrap()
    }

    fn spec() -> TokenSpec {
        TokenSpec { account: Some(42), sid: u64::MAX, expires_at: NOW + 60, epoch: 3, anonymous: true, service: false }
    }

    /// A token of any header and payload, properly signed.
    fn forge(header: &str, payload: &str) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = URL_SAFE_NO_PAD.encode(signer().key.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    fn verify(token: &str) -> Result<Claims, Refusal> {
        signer().verifier().verify(token.as_bytes(), NOW)
    }

    const HEADER: &str = r#"{"alg":"EdDSA","kid":"k1"}"#;

    fn payload(change: impl FnOnce(&mut serde_json::Map<String, serde_json::Value>)) -> String {
        let mut value = serde_json::json!({"iss": "https://spaces.test", "aud": "spaces", "sid": "9", "exp": NOW + 60});
        change(value.as_object_mut().unwrap());
        value.to_string()
    }

    #[test]
    fn what_is_minted_verifies() {
        let claims = verify(&signer().mint(&spec())).unwrap();
        assert_eq!(
            claims,
            Claims { account: Some(AccountId(42)), sid: Sid(u64::MAX), epoch: 3, anonymous: true, service: false }
        );
        let guest = TokenSpec { account: None, anonymous: false, service: true, ..spec() };
        let claims = verify(&signer().mint(&guest)).unwrap();
        assert_eq!((claims.account, claims.service), (None, true));
        assert!(signer().mint(&spec()).len() < 400);
    }

    #[test]
    fn rfc_8037_appendix_a_key_signature_and_thumbprint() {
        let seed = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        let signer = TokenSigner::from_seed("a", &seed.try_into().unwrap(), "i", "a").unwrap();
        assert_eq!(URL_SAFE_NO_PAD.encode(signer.public_key()), "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(thumbprint(&signer.public_key()), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        let signed = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        assert_eq!(
            URL_SAFE_NO_PAD.encode(signer.key.sign(signed.as_bytes())),
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
        );
    }

    #[test]
    fn expiry_has_thirty_seconds_of_leeway() {
        let token = signer().mint(&spec());
        let at = |now| signer().verifier().verify(token.as_bytes(), now);
        assert!(at(NOW + 60 + LEEWAY - 1).is_ok());
        assert_eq!(at(NOW + 60 + LEEWAY), Err(Refusal::AuthTokenExpired));
        assert_eq!(verify(&forge(HEADER, &payload(|p| p["exp"] = u64::MAX.into()))).map(|c| c.sid), Ok(Sid(9)));
    }

    #[test]
    fn both_names_of_the_algorithm_and_lists_of_audiences_are_taken() {
        assert!(verify(&forge(r#"{"kid":"k1","alg":"Ed25519"}"#, &payload(|_| {}))).is_ok());
        let list = payload(|p| p["aud"] = serde_json::json!(["other", "spaces"]));
        assert!(verify(&forge(HEADER, &list)).is_ok());
    }

    #[test]
    fn headers_that_are_not_ours_are_refused() {
        for header in [
            r#"{"alg":"none","kid":"k1"}"#,
            r#"{"alg":"HS256","kid":"k1"}"#,
            r#"{"alg":"eddsa","kid":"k1"}"#,
            r#"{"alg":"EdDSA"}"#,
            r#"{"alg":"EdDSA","kid":"k2"}"#,
            r#"{"alg":"EdDSA","kid":"k1","crit":["b64"]}"#,
            r#"{"alg":"EdDSA","alg":"EdDSA","kid":"k1"}"#,
            r#"{"alg":"EdDSA","kid":7}"#,
            "[]",
            "",
        ] {
            assert_eq!(verify(&forge(header, &payload(|_| {}))), Err(Refusal::AuthTokenInvalid), "{header}");
        }
    }

    #[test]
    fn claims_that_are_not_in_order_are_refused() {
        let set = |key: &'static str, value: serde_json::Value| payload(move |p| p[key] = value);
        let put = |key: &'static str, value: &str| {
            let value = serde_json::Value::from(value);
            payload(move |p| drop(p.insert(key.into(), value)))
        };
        for bad in [
            set("iss", "https://spaces.test/".into()),
            set("aud", "space".into()),
            set("aud", serde_json::json!([])),
            set("sid", "".into()),
            set("sid", "01".into()),
            set("sid", "-1".into()),
            set("sid", "+1".into()),
            set("sid", "18446744073709551616".into()),
            set("sid", 9.into()),
            set("exp", (-1).into()),
            set("exp", serde_json::json!(1.5)),
            set("exp", "1".into()),
            put("sub", "0"),
            put("sub", "Guest"),
            put("sub", ""),
            put("anon", "yes"),
            payload(|p| drop(p.insert("nbf".into(), (NOW + LEEWAY + 1).into()))),
            payload(|p| drop(p.remove("exp"))),
            payload(|p| drop(p.remove("iss"))),
            payload(|p| drop(p.remove("aud"))),
            payload(|p| drop(p.remove("sid"))),
        ] {
            assert_eq!(verify(&forge(HEADER, &bad)), Err(Refusal::AuthTokenInvalid), "{bad}");
        }
    }

    #[test]
    fn no_cut_and_no_flipped_bit_passes() {
        let token = signer().mint(&spec());
        assert_eq!(verify(""), Err(Refusal::AuthTokenMissing));
        for cut in 1..token.len() {
            assert_eq!(verify(&token[..cut]), Err(Refusal::AuthTokenInvalid), "{cut}");
        }
        let verifier = signer().verifier();
        for at in 0..token.len() {
            for bit in 0..8 {
                let mut bytes = token.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                assert_eq!(verifier.verify(&bytes, NOW), Err(Refusal::AuthTokenInvalid), "{at} {bit}");
            }
        }
        assert_eq!(verify(&format!("{token}=")), Err(Refusal::AuthTokenInvalid));
        assert_eq!(verify(&format!("{token}.")), Err(Refusal::AuthTokenInvalid));
        let long = forge(HEADER, &payload(|p| drop(p.insert("x".into(), "y".repeat(MAX_TOKEN).into()))));
        assert_eq!(verify(&long), Err(Refusal::AuthTokenInvalid));
    }

    #[test]
    fn another_key_under_the_same_id_is_refused() {
        let other = TokenSigner::from_seed("k1", &[8; 32], "https://spaces.test", "spaces").unwrap();
        assert_eq!(verify(&other.mint(&spec())), Err(Refusal::AuthTokenInvalid));
        assert_eq!(TokenSigner::from_seed("", &[8; 32], "", "").err(), Some(KeyError::Kid));
        let generated = TokenSigner::generate("i", "a").unwrap();
        assert_ne!(generated.kid(), TokenSigner::generate("i", "a").unwrap().kid());
        assert!(generated.verifier().verify(generated.mint(&spec()).as_bytes(), NOW).is_ok());
    }
}
