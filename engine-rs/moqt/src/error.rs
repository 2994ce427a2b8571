//! Errors and their codes on the wire: every mapping of the crate is here, and exhaustive.

use thiserror::Error;

use crate::seam::{Protocol, RequestError};
use crate::wire::Short;

/// Why a session is closed: the peer broke the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum Violation {
    #[error("{0}")]
    Protocol(&'static str),
    #[error("request id of the wrong parity, or used twice")]
    RequestId,
    #[error("track alias in use for another track")]
    TrackAlias,
    #[error("value does not match its key's format")]
    KeyValue,
    #[error("PATH from a server")]
    Path,
    #[error("PATH is not text")]
    PathFormat,
    #[error("AUTHORITY from a server")]
    Authority,
    #[error("AUTHORITY is not text")]
    AuthorityFormat,
    #[error("authorization token aliases are not kept here")]
    TokenCache,
    #[error("unknown authorization token alias")]
    TokenAlias,
    #[error("the peer holds too much of this session's memory")]
    Excess,
}

impl From<Short> for Violation {
    fn from(Short: Short) -> Self {
        Self::Protocol("message shorter than its fields")
    }
}

impl Violation {
    /// Code of the close: draft-18 §15.10.1; moq-lite defines none, so there the numbers that `moq-net` uses.
    pub(crate) const fn code(self, protocol: Protocol) -> u64 {
        match protocol {
            Protocol::Moqt18 => match self {
                Self::Protocol(_) => 0x3,
                Self::RequestId => 0x4,
                Self::TrackAlias => 0x5,
                Self::KeyValue => 0x6,
                Self::Path => 0x8,
                Self::PathFormat => 0x9,
                Self::Authority => 0x19,
                Self::AuthorityFormat => 0x1a,
                Self::TokenCache => 0x13,
                Self::TokenAlias => 0x17,
                Self::Excess => 0x1,
            },
            Protocol::Lite05 => match self {
                Self::Protocol(_)
                | Self::RequestId
                | Self::TrackAlias
                | Self::KeyValue
                | Self::Path
                | Self::PathFormat
                | Self::Authority
                | Self::AuthorityFormat
                | Self::TokenCache
                | Self::TokenAlias => 15,
                Self::Excess => 11,
            },
        }
    }
}

/// Why a request is refused: the owner's reasons, and those that a session finds by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denial {
    Owner(RequestError),
    GoingAway,
    InvalidRange,
    PrefixOverlap,
    UnsupportedExtension,
}

impl Denial {
    /// Code of REQUEST_ERROR (draft-18 §15.10.2), or of the reset that refuses a request in moq-lite (`moq-net`'s numbers;
    /// from 64 on, those are an application's own).
    pub(crate) const fn code(self, protocol: Protocol) -> u64 {
        match protocol {
            Protocol::Moqt18 => match self {
                Self::Owner(RequestError::Internal) => 0x0,
                Self::Owner(RequestError::Unauthorized) => 0x1,
                Self::Owner(RequestError::Timeout) => 0x2,
                Self::Owner(RequestError::NotSupported) => 0x3,
                Self::GoingAway => 0x6,
                Self::Owner(RequestError::TooMany) => 0x9,
                Self::Owner(RequestError::DoesNotExist) => 0x10,
                Self::InvalidRange => 0x11,
                Self::PrefixOverlap => 0x30,
                Self::UnsupportedExtension => 0x33,
            },
            Protocol::Lite05 => match self {
                Self::Owner(RequestError::Timeout) => 3,
                Self::Owner(RequestError::Unauthorized) => 6,
                Self::Owner(RequestError::DoesNotExist) => 13,
                Self::Owner(RequestError::NotSupported) | Self::InvalidRange | Self::UnsupportedExtension => 17,
                Self::Owner(RequestError::Internal) => 24,
                Self::GoingAway | Self::PrefixOverlap => 25,
                Self::Owner(RequestError::TooMany) => 64 + 9,
            },
        }
    }

    /// A retry that makes sense after this many milliseconds, plus one; 0: do not retry (draft-18 §10.6.2).
    pub(crate) const fn retry(self) -> u64 {
        match self {
            Self::Owner(RequestError::TooMany | RequestError::Timeout) => 1_001,
            Self::Owner(
                RequestError::Internal
                | RequestError::Unauthorized
                | RequestError::NotSupported
                | RequestError::DoesNotExist,
            )
            | Self::GoingAway
            | Self::InvalidRange
            | Self::PrefixOverlap
            | Self::UnsupportedExtension => 0,
        }
    }
}

/// Why a stream is reset or stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Abandon {
    Cancelled,
    Excess,
    Unsupported,
    Refused(Denial),
}

impl Abandon {
    /// Code of RESET_STREAM or STOP_SENDING: draft-18 §15.10.4, or `moq-net`'s numbers.
    pub(crate) const fn code(self, protocol: Protocol) -> u64 {
        match (protocol, self) {
            (Protocol::Moqt18, Self::Cancelled) => 0x1,
            (Protocol::Moqt18, Self::Excess) => 0x9,
            (Protocol::Moqt18, Self::Unsupported | Self::Refused(_)) => 0x0,
            (Protocol::Lite05, Self::Cancelled) => 0,
            (Protocol::Lite05, Self::Excess) => 64 + 9,
            (Protocol::Lite05, Self::Unsupported) => 17,
            (Protocol::Lite05, Self::Refused(denial)) => denial.code(protocol),
        }
    }
}
