//! Errors and panics as Python exceptions: one exhaustive mapping for each type of error.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;
use pyo3::{PyErr, create_exception};
use spaces_core::command::ApplyError;
use spaces_core::refusal::Refusal;
use spaces_net::client::ClientError;
use spaces_net::endpoint::EndpointError;
use spaces_net::server::{RenewError, ServerError, StartError};

create_exception!(spaces_ctl._engine, EngineError, PyException, "Base of everything that the engine raises.");
create_exception!(spaces_ctl._engine, EnginePanic, EngineError, "A bug in the engine: a thread of it panicked.");
create_exception!(spaces_ctl._engine, EngineTimeout, EngineError, "A shard does not answer.");
create_exception!(spaces_ctl._engine, StartFailed, EngineError, "The engine cannot start as configured.");
create_exception!(spaces_ctl._engine, AddressInUse, StartFailed, "Somebody else has the UDP port.");
create_exception!(
    spaces_ctl._engine,
    CertificateRefused,
    EngineError,
    "Certificate and key are none, or do not belong together; the old ones stay."
);
create_exception!(spaces_ctl._engine, CommandRefused, EngineError, "The engine refused a command; nothing changed.");
create_exception!(
    spaces_ctl._engine,
    StaleVersion,
    CommandRefused,
    "A newer value is in force. Attributes: `have`, `got` (versions)."
);
create_exception!(spaces_ctl._engine, UnknownSpace, CommandRefused, "No such Space here.");
create_exception!(spaces_ctl._engine, SpaceEnded, CommandRefused, "The Space has ended; its id is not used again.");
create_exception!(spaces_ctl._engine, InvalidTable, CommandRefused, "The value contradicts itself.");
create_exception!(
    spaces_ctl._engine,
    Refused,
    EngineError,
    "Not let in, closed, or not allowed. Attribute: `code` (a policy error code)."
);

create_exception!(
    spaces_ctl._engine,
    BadLog,
    PyValueError,
    "Not a segment log of this version, or its header is damaged."
);
create_exception!(spaces_ctl._engine, ConnectionFailed, EngineError, "A client could not connect, or not any more.");
create_exception!(spaces_ctl._engine, ConnectionClosed, EngineError, "Used after it was closed here.");

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("EngineError", py.get_type::<EngineError>())?;
    module.add("EnginePanic", py.get_type::<EnginePanic>())?;
    module.add("EngineTimeout", py.get_type::<EngineTimeout>())?;
    module.add("StartFailed", py.get_type::<StartFailed>())?;
    module.add("AddressInUse", py.get_type::<AddressInUse>())?;
    module.add("CertificateRefused", py.get_type::<CertificateRefused>())?;
    module.add("CommandRefused", py.get_type::<CommandRefused>())?;
    module.add("StaleVersion", py.get_type::<StaleVersion>())?;
    module.add("UnknownSpace", py.get_type::<UnknownSpace>())?;
    module.add("SpaceEnded", py.get_type::<SpaceEnded>())?;
    module.add("InvalidTable", py.get_type::<InvalidTable>())?;
    module.add("Refused", py.get_type::<Refused>())?;
    module.add("BadLog", py.get_type::<BadLog>())?;
    module.add("ConnectionFailed", py.get_type::<ConnectionFailed>())?;
    module.add("ConnectionClosed", py.get_type::<ConnectionClosed>())?;
    module.add(
        "REFUSALS",
        Refusal::ALL.iter().map(|refusal| (refusal.code(), refusal.wire())).collect::<BTreeMap<_, _>>(),
    )
}

/// Runs `work` without the interpreter. A panic becomes [`EnginePanic`] instead of ending the process.
pub(crate) fn detached<T: Send>(py: Python<'_>, work: impl FnOnce() -> T + Send) -> PyResult<T> {
    py.detach(|| catch_unwind(AssertUnwindSafe(work))).map_err(|panic| EnginePanic::new_err(words(&*panic)))
}

fn words(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic without words".to_owned())
}

/// How starting failed.
pub(crate) fn start(error: &StartError) -> PyErr {
    match error {
        StartError::Io(io) | StartError::Endpoint(EndpointError::Io(io))
            if io.kind() == std::io::ErrorKind::AddrInUse =>
        {
            AddressInUse::new_err(error.to_string())
        }
        StartError::Shards
        | StartError::Endpoint(_)
        | StartError::Setup(_)
        | StartError::Io(_)
        | StartError::Server(_) => StartFailed::new_err(error.to_string()),
    }
}

/// How a call of the running server failed.
pub(crate) fn server(py: Python<'_>, error: &ServerError) -> PyErr {
    let text = error.to_string();
    match error {
        ServerError::Refused(ApplyError::Stale { have, got }) => {
            let raised = StaleVersion::new_err(text);
            let value = raised.value(py);
            match value.setattr("have", *have).and_then(|()| value.setattr("got", *got)) {
                Ok(()) => raised,
                Err(other) => other,
            }
        }
        ServerError::Refused(ApplyError::UnknownSpace) => UnknownSpace::new_err(text),
        ServerError::Refused(ApplyError::Ended) => SpaceEnded::new_err(text),
        ServerError::Refused(ApplyError::Invalid(_)) => InvalidTable::new_err(text),
        ServerError::Denied(refusal) => refused(text, refusal.code()),
        ServerError::ShardFailed { .. } => EnginePanic::new_err(text),
        ServerError::Timeout { .. } => EngineTimeout::new_err(text),
    }
}

/// How a new certificate failed.
pub(crate) fn renew(py: Python<'_>, error: &RenewError) -> PyErr {
    match error {
        RenewError::Setup(_) => CertificateRefused::new_err(error.to_string()),
        RenewError::Server(error) => server(py, error),
    }
}

/// How a client failed.
pub(crate) fn client(error: &ClientError) -> PyErr {
    let text = error.to_string();
    match error {
        ClientError::Refused(code) => refused(text, code),
        ClientError::Url(_) | ClientError::Trust(_) | ClientError::Codec(_) => PyValueError::new_err(text),
        ClientError::Io(_)
        | ClientError::Closed { .. }
        | ClientError::Lost
        | ClientError::Timeout
        | ClientError::Protocol(_) => ConnectionFailed::new_err(text),
        ClientError::Panic(_) => EnginePanic::new_err(text),
        ClientError::NotOpen => ConnectionClosed::new_err(text),
    }
}

fn refused(text: String, code: &str) -> PyErr {
    Python::attach(|py| {
        let raised = Refused::new_err(text);
        match raised.value(py).setattr("code", code) {
            Ok(()) => raised,
            Err(other) => other,
        }
    })
}

/// A value that cannot be meant.
pub(crate) fn value(text: impl Into<String>) -> PyErr {
    PyValueError::new_err(text.into())
}
