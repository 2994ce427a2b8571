//! Why the engine refuses. The texts are the policy's error codes: one list for both languages, compared by a test.

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $code:literal / $wire:literal,)*) => {
        /// Why somebody may not enter, hear or speak.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
        pub enum Refusal { $($(#[$doc])* #[error($code)] $name,)* }

        impl Refusal {
            /// Every refusal.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
            /// The policy's code, as the HTTP API shows it.
            #[must_use]
            pub const fn code(self) -> &'static str { match self { $(Self::$name => $code,)* } }
            /// The refusal of a policy code.
            #[must_use]
            pub fn parse(code: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|refusal| refusal.code() == code)
            }
            /// The application error code with which a connection is closed.
            #[must_use]
            pub const fn wire(self) -> u32 { match self { $(Self::$name => $wire,)* } }
        }
    };
}

refusals! {
    /// No token where one is needed.
    TokenMissing = "auth.token_missing" / 0x5301,
    /// Not a token, a wrong signature, an unknown key, issuer or audience.
    TokenInvalid = "auth.token_invalid" / 0x5302,
    /// The token's time is over, or its epoch was revoked.
    TokenExpired = "auth.token_expired" / 0x5303,
    /// The session was revoked.
    SessionRevoked = "auth.session_revoked" / 0x5304,
    /// The page's origin is not allowed.
    Origin = "auth.origin" / 0x5305,
    /// No such Space here.
    SpaceUnknown = "space.not_found" / 0x5310,
    /// The Space is not live yet.
    NotLive = "state.scheduled" / 0x5311,
    /// The Space is over.
    Ended = "state.ended" / 0x5312,
    /// Removed from this Space.
    Removed = "participant.removed" / 0x5320,
    /// Blocked by the host or a co-host.
    Blocked = "participant.blocked_by_host" / 0x5321,
    /// A ticketed Space and no ticket.
    Ticket = "ticket.required" / 0x5322,
    /// The role does not allow it: speaking without a seat, anonymous people on stage.
    Role = "role.forbidden" / 0x5323,
    /// The same session connected again; this connection is the older one.
    Superseded = "session.superseded" / 0x5324,
    /// Too many requests.
    RateLimited = "rate.limited" / 0x5330,
    /// This node takes no more listeners.
    Capacity = "node.capacity" / 0x5331,
    /// No such track.
    TrackUnknown = "track.not_found" / 0x5340,
}
