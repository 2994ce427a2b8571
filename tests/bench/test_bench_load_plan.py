import msgspec
import pytest

from spaces_ctl.bench.load import Group, GroupReport, Linear, Logistic, Plan, Report, Steps, share

GROUPS = [
    Group(name="listeners", listeners=10, curve=Linear(500.0)),
    Group(name="joiners", listeners=7, curve=Steps(3, 1.0), starts="on_begin", stays="until_audio"),
]
PLAN = Plan(server="127.0.0.1:1", protocol="moqt", speakers=2, spaces=["a"], groups=GROUPS)


def report(delivered: int, expected: int, worst: float, times: list[tuple[int, int]]) -> Report:
    group = GroupReport(
        name="listeners",
        listeners=5,
        joined=5,
        heard_audio=5,
        failed=0,
        first_failure=None,
        expected=expected,
        delivered=delivered,
        repeated=1,
        checked=2,
        broken=0,
        unplaced=0,
        loss_ratio=1 - delivered / expected,
        worst_listener_loss=worst,
        latency_us=times,
        first_audio_us=[],
        admission_us=times,
    )
    return Report(groups=[group], cpu_seconds=1.5, turn_us=times)


@pytest.mark.parametrize("hosts", [1, 2, 3, 8])
def test_several_hosts_together_are_the_whole_load(hosts: int) -> None:
    plans = share(PLAN, hosts)
    assert len(plans) == hosts
    for index, group in enumerate(PLAN.groups):
        assert sum(plan.groups[index].listeners for plan in plans) == group.listeners
    rates = [plan.groups[0].curve for plan in plans]
    assert sum(rate.per_second for rate in rates if isinstance(rate, Linear)) == pytest.approx(500)
    assert len({plan.seed for plan in plans}) == hosts, "hosts would lose the same packets"


def test_no_host_is_no_load() -> None:
    with pytest.raises(ValueError, match="host"):
        share(PLAN, 0)


def test_reports_of_hosts_add_up() -> None:
    whole = report(90, 100, 0.2, [(1_000, 90)]) + report(100, 100, 0.0, [(1_000, 60), (9_000, 40)])
    (group,) = whole.groups
    assert (group.delivered, group.expected, group.worst_listener_loss) == (190, 200, 0.2)
    assert group.loss_ratio == pytest.approx(0.05)
    assert group.latency_us == [(1_000, 150), (9_000, 40)]
    assert whole.cpu_seconds == 3.0


def test_a_plan_is_written_as_the_program_reads_it() -> None:
    # The other half is bench/load/src/plan.rs, which refuses unknown words.
    written = msgspec.to_builtins(PLAN)
    assert written["groups"][1]["curve"] == {"kind": "steps", "size": 3, "every_s": 1.0}
    assert msgspec.to_builtins(Logistic(4.0)) == {"kind": "logistic", "seconds": 4.0}
    assert set(written) == {
        "server",
        "protocol",
        "speakers",
        "spaces",
        "path",
        "groups",
        "network",
        "seed",
        "ack_frequency",
        "connections_per_socket",
        "realtime",
    }
