//! The tap as a Python object. Like the other clients', its calls do not wait.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use spaces_net::client::State;
use spaces_net::client::tap::{SeatTap, TappedFrame};

use crate::client::{To, destination, live};
use crate::errors::{self, detached};

/// `(seat, generation, group, level, start, end, opus, received_at_us)`.
type Row<'py> = (u8, u32, u64, u8, bool, bool, Bound<'py, PyBytes>, u64);

/// One service's connection to the seats that may be captioned.
#[pyclass(frozen, module = "spaces_ctl._engine")]
pub(crate) struct NativeTap {
    tap: SeatTap,
}

#[pymethods]
impl NativeTap {
    /// Resolves the name (may wait for DNS) and begins to connect.
    #[staticmethod]
    fn connect(py: Python<'_>, to: To) -> PyResult<Self> {
        let destination = destination(to)?;
        let tap = detached(py, move || SeatTap::connect(&destination))?.map_err(|error| errors::client(&error))?;
        Ok(Self { tap })
    }

    /// An eventfd, readable when something changed. It lives as long as the object.
    #[getter]
    fn bell_fd(&self) -> i32 {
        self.tap.bell_fd()
    }

    /// To be called before looking.
    fn clear_bell(&self) {
        self.tap.clear_bell();
    }

    /// Subscribed. Raises why not, once it is over.
    fn live(&self) -> PyResult<bool> {
        live(&self.tap.state())
    }

    /// It is over, by itself or by `close`.
    fn over(&self) -> bool {
        matches!(self.tap.state(), State::Over(_))
    }

    /// Frames since the last call.
    fn frames<'py>(&self, py: Python<'py>) -> Vec<Row<'py>> {
        let row = |frame: TappedFrame| {
            let TappedFrame { seat, generation, group, level, spurt, opus, received_at_us } = frame;
            let opus = PyBytes::new(py, &opus);
            (seat.get(), generation, group, level.0, spurt.start, spurt.end, opus, received_at_us)
        };
        self.tap.frames().into_iter().map(row).collect()
    }

    /// Counters.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.tap.stats();
        let out = PyDict::new(py);
        out.set_item("frames", stats.frames)?;
        out.set_item("overflowed", stats.overflowed)?;
        out.set_item("refused", stats.refused)?;
        out.set_item("going_away", stats.going_away)?;
        Ok(out)
    }

    /// Ends the connection, without waiting.
    fn close(&self) {
        self.tap.close();
    }
}
