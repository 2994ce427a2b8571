//! Thin Python binding: `spaces_ctl._engine`, imported by `spaces_ctl/engine.py` and its private halves, and by `spaces_ctl/segments.py`.
//!
//! No logic lives here. Each call turns Python values into the engine's, lets go of the interpreter while it waits, and
//! turns errors and panics into exceptions (`errors`).

mod client;
mod commands;
mod engine;
mod errors;
mod load;
mod recordings;
mod stats;
mod tap;
mod token;

use pyo3::prelude::*;

/// The native half of `spaces_ctl.engine`. Import that instead.
#[pymodule]
fn _engine(module: &Bound<'_, PyModule>) -> PyResult<()> {
    errors::register(module)?;
    module.add_class::<engine::NativeEngine>()?;
    module.add_class::<token::TokenSigner>()?;
    module.add_function(wrap_pyfunction!(token::space_name, module)?)?;
    module.add_function(wrap_pyfunction!(token::space_id, module)?)?;
    recordings::register(module)?;
    client::register(module)
}
