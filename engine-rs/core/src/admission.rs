//! Who may come in: a verified token's claims against a Space's tables.

use crate::ids::{AccountId, Sid};

/// Claims of a join token whose signature, issuer, audience and time were verified by the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claims {
    /// `sub`: the account; `None` for a guest (logged-out) token.
    pub account: Option<AccountId>,
    /// `sid`.
    pub sid: Sid,
    /// `epoch`: tokens older than the deployment's least epoch are refused.
    pub epoch: u64,
    /// `anon`: listens unnamed; takes no seat.
    pub anonymous: bool,
}
