//! Many native listeners as one Python object. Like the other clients', its calls do not wait.

use std::sync::Mutex;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use spaces_net::client::load::{ListenerLoad, LoadConfig};

use crate::client::{To, destination};
use crate::errors::{self, detached};

/// Many listeners on one thread.
#[pyclass(frozen, module = "spaces_ctl._engine")]
pub(crate) struct NativeLoad {
    load: ListenerLoad,
    /// Only one caller at a time collects figures: they are large.
    collecting: Mutex<()>,
}

#[pymethods]
impl NativeLoad {
    /// Resolves the name (may wait for DNS) and begins to dial.
    #[staticmethod]
    #[pyo3(signature = (to, *, listeners, joins_per_second))]
    fn start(py: Python<'_>, to: To, listeners: u32, joins_per_second: u32) -> PyResult<Self> {
        let config = LoadConfig { destination: destination(to)?, listeners, joins_per_second };
        let load = detached(py, move || ListenerLoad::start(&config))?.map_err(|error| errors::client(&error))?;
        Ok(Self { load, collecting: Mutex::new(()) })
    }

    /// An eventfd, readable when listeners joined or failed, or all is over.
    #[getter]
    fn bell_fd(&self) -> i32 {
        self.load.bell_fd()
    }

    /// To be called before looking.
    fn clear_bell(&self) {
        self.load.clear_bell();
    }

    /// All connections are closed.
    fn over(&self) -> bool {
        self.load.is_over()
    }

    /// `(joined, failed)`.
    fn progress(&self) -> (u32, u32) {
        self.load.progress()
    }

    /// Speakers' entries: `(hash, sent_at_us)`.
    fn add_sent(&self, py: Python<'_>, sent: Vec<(u64, u64)>) -> PyResult<()> {
        detached(py, || self.load.add_sent(sent))
    }

    /// Counters; `latency` maps steps of 0.1 ms to frames.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = detached(py, || {
            let _one = self.collecting.lock();
            self.load.stats()
        })?;
        let out = PyDict::new(py);
        out.set_item("dialled", stats.dialled)?;
        out.set_item("joined", stats.joined)?;
        out.set_item("failed", stats.failed)?;
        out.set_item("first_failure", stats.first_failure.map(|error| error.to_string()))?;
        out.set_item("refused", stats.refused)?;
        out.set_item("join_p50_us", stats.join_p50_us)?;
        out.set_item("join_p99_us", stats.join_p99_us)?;
        let ledger = stats.ledger;
        out.set_item("began", ledger.began)?;
        out.set_item("expected", ledger.expected)?;
        out.set_item("delivered", ledger.delivered)?;
        out.set_item("duplicates", ledger.duplicates)?;
        out.set_item("redundant", ledger.redundant)?;
        out.set_item("unmatched", ledger.unmatched)?;
        out.set_item("late", ledger.late)?;
        out.set_item("corrupt", ledger.corrupt)?;
        out.set_item("unheard", ledger.unheard)?;
        out.set_item("p50_us", ledger.p50_us)?;
        out.set_item("p99_us", ledger.p99_us)?;
        let latency = PyDict::new(py);
        for (step, frames) in ledger.latency {
            latency.set_item(step, frames)?;
        }
        out.set_item("latency", latency)?;
        Ok(out)
    }

    /// Frames that each listener received.
    fn received(&self) -> Vec<u64> {
        self.load.received()
    }

    /// Closes all connections, without waiting.
    fn close(&self) {
        self.load.close();
    }
}
