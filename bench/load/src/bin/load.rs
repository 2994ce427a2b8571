//! `load PLAN`: see `spaces_bench_load::plan` for the plan, `console` for what is said meanwhile.

use spaces_bench_load::{clock, plan::Plan, run};

fn main() -> Result<(), run::Failure> {
    let argument = std::env::args().nth(1).ok_or("usage: load PLAN (a JSON document)")?;
    let plan: Plan = serde_json::from_str(&argument)?;
    if plan.realtime {
        clock::share_between_hosts();
    }
    run::run(&plan)
}
