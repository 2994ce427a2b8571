//! A `moqt-18` session, either end, against any peer and any owner.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spaces_moqt::seam::Protocol;

fuzz_target!(|data: &[u8]| spaces_fuzz::session::run(Protocol::Moqt18, data));
