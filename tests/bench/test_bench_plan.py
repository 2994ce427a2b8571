import msgspec
import pytest

from spaces_ctl.bench.calibration import Calibration, calibrate, load_calibration, shipped
from spaces_ctl.bench.plan import Assumptions, NotCalibrated, packet_bytes, plan
from spaces_ctl.bench.rows import BadResults
from tests.bench.measurements import measurement

MACHINE = {"cores": "2"}


def known() -> Calibration:
    """2,000 listeners a core on the stage, 6,000 on mix, 200 at a relay; a join is a millisecond."""
    return calibrate(
        [
            *(measurement(server_cpu_seconds=cpu) for cpu in (2.4, 2.5, 2.6)),
            measurement(tier="mix", listeners=6_000, server_cpu_seconds=5.0, delivered=1_500_000, expected=1_500_000),
            measurement(server="moq-relay", listeners=200, server_cpu_seconds=5.0, delivered=50_000, expected=50_000),
            measurement(
                scenario="storm",
                tier="mix",
                listeners=3_000,
                seconds=10,
                joiners=10_000,
                delivered=1_500_000,
                expected=1_500_000,
                server_cpu_seconds=15.0,
            ),
        ],
        "test",
        MACHINE,
    )


def test_cores_are_listeners_times_cost_and_joins_over_utilisation() -> None:
    own = plan(1_000_000, known(), Assumptions(utilisation=0.5, join_minutes=5)).fleets[0]
    assert own.name == "own edges, stage"
    assert own["busy cores"] == pytest.approx(500)
    # Half a million within 300 s, a millisecond each.
    assert own["join cores"] == pytest.approx(1.6667, abs=1e-3)
    assert own["cores"] == pytest.approx((500 + 1.6667) / 0.5, abs=0.01)


def test_bandwidth_is_packets_and_nothing_else() -> None:
    # Stage: 1.3 × (80 + 4) + 12 + 30 + 28 bytes; mix: 240 + 4 + 12 + 30 + 28.
    assert packet_bytes("stage", Assumptions()) == pytest.approx(179.2)
    assert packet_bytes("mix", Assumptions()) == pytest.approx(314)
    own, mix, _ = plan(1_000_000, known()).fleets
    assert own["bandwidth"] == pytest.approx(179.2 * 8 * 50 / 1000)
    assert mix["egress"] == pytest.approx(314 * 8 * 50 / 3 / 1000)


def test_the_scarcest_thing_decides_how_many_machines() -> None:
    narrow = plan(100_000, known(), Assumptions(link_gbit=0.1)).fleets[0]
    assert narrow["edges"] > plan(100_000, known()).fleets[0]["edges"]
    assert "network card" in next(figure.how for figure in narrow.figures if figure.name == "edges")
    fat = plan(100_000, known(), Assumptions(memory_per_edge_gb=0.01)).fleets[0]
    assert "memory" in next(figure.how for figure in fat.figures if figure.name == "edges")


def test_money_is_the_sum_of_its_parts_and_only_relays_of_others_cost_extra() -> None:
    for fleet in plan(1_000_000, known(), Assumptions(relay_price=0.05)).fleets:
        parts = fleet["core money"] + fleet["byte money"] + fleet["relay money"]
        assert fleet["money"] == pytest.approx(parts)
        assert (fleet["relay money"] > 0) == fleet.name.startswith("moq-relay")


def test_every_figure_says_where_it_comes_from() -> None:
    for fleet in plan(1_000_000, known()).fleets:
        assert all(figure.how and figure.unit for figure in fleet.figures)
        assert {"measured", "computed", "specified"} == {figure.source for figure in fleet.figures}


def test_what_was_not_measured_is_named_and_without_ours_there_is_no_plan() -> None:
    own = msgspec.structs.replace(known(), costs=[cost for cost in known().costs if cost.server == "spaces"])
    assert plan(10, own).missing == ["moq-relay, stage: moq-relay on stage is not in test"]
    with pytest.raises(NotCalibrated):
        plan(10, msgspec.structs.replace(own, costs=[]))
    with pytest.raises(ValueError, match="listener"):
        plan(0, own)


def test_a_server_beyond_its_capacity_says_nothing_of_its_cost() -> None:
    bad = [
        measurement(delivered=200_000),
        measurement(latency_us=[(500_000, 250_000)]),
        measurement(loss=0.1),
        measurement(spaces=20),
        measurement(ack_frequency=True),
    ]
    with pytest.raises(BadResults):
        calibrate(bad, "test", MACHINE)
    (cost,) = calibrate([*bad, measurement(), measurement()], "test", MACHINE).costs
    assert (cost.rounds, cost.core_seconds_per_listener_second) == (2, 1 / 2_000)


def test_a_join_costs_what_the_storm_cost_more_than_listening() -> None:
    assert known().core_seconds_per_join == pytest.approx(0.001)


def test_the_shipped_calibration_plans_a_million_listeners() -> None:
    made = plan(1_000_000, shipped())
    assert [fleet.name for fleet in made.fleets][:2] == ["own edges, stage", "own edges, mix at 60 ms"]
    assert made.machine


def test_a_file_that_is_none_is_named(tmp_path: object) -> None:
    from pathlib import Path

    path = Path(str(tmp_path)) / "calibration.json"
    path.write_text("{}")
    with pytest.raises(BadResults, match=r"calibration\.json"):
        load_calibration(path)
