//! Join tokens and names of Spaces.

use pyo3::prelude::*;
use spaces_core::ids::SpaceId;
use spaces_net::token::{TokenSigner as Signer, TokenSpec};

use crate::errors;

/// Mints join tokens: Ed25519 JWTs (RFC 8037) with `iss aud sub sid exp epoch anon svc`.
#[pyclass(frozen, module = "spaces_ctl._engine")]
pub(crate) struct TokenSigner {
    signer: Signer,
}

#[pymethods]
impl TokenSigner {
    /// A signer with a new key, whose id is its thumbprint (RFC 7638).
    #[staticmethod]
    #[pyo3(signature = (*, issuer = "spaces".to_owned(), audience = "spaces".to_owned()))]
    fn generate(issuer: String, audience: String) -> PyResult<Self> {
        let signer = Signer::generate(issuer, audience).map_err(|error| errors::value(error.to_string()))?;
        Ok(Self { signer })
    }

    /// A signer with the private key `seed` (32 bytes, RFC 8032) under the key id `kid`.
    #[staticmethod]
    #[pyo3(signature = (kid, seed, *, issuer = "spaces".to_owned(), audience = "spaces".to_owned()))]
    fn from_seed(kid: String, seed: [u8; 32], issuer: String, audience: String) -> PyResult<Self> {
        let signer =
            Signer::from_seed(kid, &seed, issuer, audience).map_err(|error| errors::value(error.to_string()))?;
        Ok(Self { signer })
    }

    /// The key id that stands in every token.
    #[getter]
    fn kid(&self) -> &str {
        self.signer.kid()
    }

    /// The public key, 32 bytes.
    #[getter]
    fn public_key(&self) -> [u8; 32] {
        self.signer.public_key()
    }

    /// One signed token. `account` None is a logged-out listener; `expires_at` in seconds since 1970.
    #[pyo3(signature = (*, account, sid, expires_at, epoch = 0, anonymous = false, service = false))]
    fn mint(
        &self,
        account: Option<u64>,
        sid: u64,
        expires_at: u64,
        epoch: u64,
        anonymous: bool,
        service: bool,
    ) -> String {
        self.signer.mint(&TokenSpec { account, sid, expires_at, epoch, anonymous, service })
    }
}

/// The base62 name of a Space, as in links and namespaces.
#[pyfunction]
pub(crate) fn space_name(space: u64) -> String {
    SpaceId(space).to_string()
}

/// The Space that a base62 name means. Raises ValueError for anything else.
#[pyfunction]
pub(crate) fn space_id(name: &str) -> PyResult<u64> {
    SpaceId::parse(name.as_bytes())
        .map(|space| space.0)
        .ok_or_else(|| errors::value(format!("{name:?} names no Space")))
}
