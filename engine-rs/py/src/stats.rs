//! The server's counters as one flat dictionary a thread.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use spaces_net::mixer::MixerStats;
use spaces_net::stats::ShardStats;

pub(crate) fn shard<'py>(py: Python<'py>, stats: &ShardStats) -> PyResult<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    out.set_item("shard", stats.shard)?;
    out.set_item("cpu_seconds", stats.cpu.as_secs_f64())?;
    out.set_item("pinned", stats.pinned)?;
    out.set_item("connections", stats.connections)?;
    out.set_item("sessions", stats.sessions)?;
    out.set_item("packets_received", stats.endpoint.received)?;
    out.set_item("bytes_received", stats.endpoint.received_bytes)?;
    out.set_item("packets_forwarded", stats.endpoint.forwarded)?;
    out.set_item("joins_given", stats.endpoint.given)?;
    out.set_item("garbage", stats.endpoint.garbage)?;
    out.set_item("handshakes", stats.endpoint.handshakes)?;
    out.set_item("handshakes_refused", stats.endpoint.handshakes_refused)?;
    out.set_item("retries", stats.endpoint.retries)?;
    out.set_item("datagrams_sent", stats.downlink.datagrams)?;
    out.set_item("stream_objects_sent", stats.downlink.stream_objects)?;
    out.set_item("blocked", stats.downlink.blocked)?;
    out.set_item("framed", stats.downlink.framed)?;
    out.set_item("ticks", stats.engine.ticks)?;
    out.set_item("objects", stats.engine.objects)?;
    out.set_item("skipped", stats.engine.skipped)?;
    out.set_item("redundant", stats.engine.redundant)?;
    out.set_item("admitted", stats.desk.admitted)?;
    out.set_item("mix_packets", stats.engine.mix_packets)?;
    out.set_item("mix_dropped", stats.engine.mix_dropped)?;
    out.set_item("reactions", stats.engine.reactions)?;
    out.set_item("reactions_refused", stats.engine.reactions_refused)?;
    out.set_item("uplink_errors", stats.desk.uplink_errors)?;
    out.set_item("protocol_errors", stats.desk.protocol_errors)?;
    out.set_item("mail_dropped", stats.mail_dropped)?;
    out.set_item("mail_stale", stats.mail_stale)?;
    out.set_item("record_dropped", stats.record_dropped)?;
    let verdicts = PyDict::new(py);
    verdicts.set_item("accepted", stats.desk.verdicts.accepted)?;
    verdicts.set_item("forwarded", stats.desk.verdicts.forwarded)?;
    verdicts.set_item("duplicate", stats.desk.verdicts.duplicate)?;
    verdicts.set_item("late", stats.desk.verdicts.late)?;
    verdicts.set_item("over_budget", stats.desk.verdicts.over_budget)?;
    verdicts.set_item("silenced", stats.desk.verdicts.silenced)?;
    verdicts.set_item("no_seat", stats.desk.verdicts.no_seat)?;
    out.set_item("verdicts", verdicts)?;
    out.set_item("handshakes_limited", stats.endpoint.handshakes_limited)?;
    let websockets = PyDict::new(py);
    websockets.set_item("connections", stats.websockets.connections)?;
    websockets.set_item("accepted", stats.websockets.accepted)?;
    websockets.set_item("refused", stats.websockets.refused)?;
    websockets.set_item("broken", stats.websockets.broken)?;
    websockets.set_item("purge_aborts", stats.websockets.purge_aborts)?;
    out.set_item("websockets", websockets)?;
    let refusals = PyDict::new(py);
    for (code, count) in &stats.desk.refusals {
        refusals.set_item(code, count)?;
    }
    out.set_item("refusals", refusals)?;
    Ok(out)
}

pub(crate) fn mixer<'py>(py: Python<'py>, stats: &MixerStats) -> PyResult<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    out.set_item("packets", stats.packets)?;
    out.set_item("ticks", stats.ticks)?;
    out.set_item("dropped", stats.dropped)?;
    out.set_item("spaces", stats.spaces)?;
    out.set_item("cpu_seconds", stats.cpu.as_secs_f64())?;
    Ok(out)
}
