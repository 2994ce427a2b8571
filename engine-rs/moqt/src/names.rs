//! Namespaces: prefixes, moq-lite's paths, and what the peer has announced.

use bytes::{BufMut, Bytes, BytesMut};

use crate::seam::StreamId;

/// Namespace fields, as in [`crate::seam::FullTrackName`].
pub(crate) type Namespace = Vec<Bytes>;

/// What follows `prefix` in `namespace`; `None` if it does not begin with it.
pub(crate) fn suffix<'a>(namespace: &'a [Bytes], prefix: &[Bytes]) -> Option<&'a [Bytes]> {
    namespace.strip_prefix(prefix)
}

/// `prefix` and `suffix` as one namespace.
pub(crate) fn joined(prefix: &[Bytes], suffix: &[Bytes]) -> Namespace {
    prefix.iter().chain(suffix).cloned().collect()
}

/// Whether one is the other's prefix.
pub(crate) fn overlap(left: &[Bytes], right: &[Bytes]) -> bool {
    left.starts_with(right) || right.starts_with(left)
}

/// A moq-lite path as namespace fields. Empty segments do not count, as in `moq-net`.
pub(crate) fn from_path(path: &[u8]) -> Namespace {
    path.split(|byte| *byte == b'/').filter(|field| !field.is_empty()).map(Bytes::copy_from_slice).collect()
}

/// Namespace fields as a moq-lite path.
pub(crate) fn to_path(namespace: &[Bytes]) -> BytesMut {
    let mut path = BytesMut::new();
    for (index, field) in namespace.iter().enumerate() {
        if index > 0 {
            path.put_u8(b'/');
        }
        path.put_slice(field);
    }
    path
}

/// Namespaces that the peer has announced, each by one or more streams.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    entries: Vec<(StreamId, Namespace)>,
}

/// What became of an announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hearing {
    /// Nobody had announced it.
    New,
    /// Some stream had.
    Known,
    /// There are too many.
    Full,
}

impl Heard {
    pub(crate) fn add(&mut self, stream: StreamId, namespace: &Namespace, limit: usize) -> Hearing {
        let known = self.entries.iter().any(|(_, heard)| heard == namespace);
        if self.entries.iter().any(|(by, heard)| *by == stream && heard == namespace) {
            return Hearing::Known;
        }
        if self.entries.len() >= limit {
            return Hearing::Full;
        }
        self.entries.push((stream, namespace.clone()));
        if known { Hearing::Known } else { Hearing::New }
    }

    /// Whether `stream` has announced it.
    pub(crate) fn contains(&self, stream: StreamId, namespace: &[Bytes]) -> bool {
        self.entries.iter().any(|(by, heard)| *by == stream && heard == namespace)
    }

    /// Takes one announcement back. True if no other stream announces the namespace.
    pub(crate) fn remove(&mut self, stream: StreamId, namespace: &[Bytes]) -> bool {
        let Some(index) = self.entries.iter().position(|(by, heard)| *by == stream && heard == namespace) else {
            return false;
        };
        self.entries.swap_remove(index);
        !self.entries.iter().any(|(_, heard)| heard == namespace)
    }

    /// Takes back all that `stream` announced; returns the namespaces that nobody announces any more.
    pub(crate) fn remove_stream(&mut self, stream: StreamId) -> Vec<Namespace> {
        let mut gone = Vec::new();
        while let Some(index) = self.entries.iter().position(|(by, _)| *by == stream) {
            let (_, namespace) = self.entries.swap_remove(index);
            if !self.entries.iter().any(|(_, heard)| *heard == namespace) {
                gone.push(namespace);
            }
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_fields_and_back() {
        assert_eq!(from_path(b"spaces/demo"), [&b"spaces"[..], b"demo"]);
        assert_eq!(from_path(b"/spaces//demo/"), [&b"spaces"[..], b"demo"]);
        assert!(from_path(b"").is_empty());
        assert_eq!(&to_path(&from_path(b"/spaces/7/seat/3"))[..], b"spaces/7/seat/3");
    }

    #[test]
    fn a_namespace_is_gone_when_its_last_announcement_is() {
        let mut heard = Heard::default();
        let name = from_path(b"a/b");
        assert_eq!(heard.add(StreamId(0), &name, 2), Hearing::New);
        assert_eq!(heard.add(StreamId(0), &name, 2), Hearing::Known);
        assert_eq!(heard.add(StreamId(4), &name, 2), Hearing::Known);
        assert_eq!(heard.add(StreamId(8), &name, 2), Hearing::Full);
        assert!(heard.remove_stream(StreamId(0)).is_empty());
        assert!(heard.remove(StreamId(4), &name));
        assert!(!heard.remove(StreamId(4), &name));
    }
}
