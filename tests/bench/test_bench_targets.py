from spaces_ctl.bench.limit import Ceiling
from spaces_ctl.bench.rows import Measurement
from spaces_ctl.bench.targets import Target, targets
from tests.bench.measurements import measurement

CEILING = Ceiling(size=126, segments=1, packets=600_000, cpu_seconds=3.0, packets_per_core_second=180_000)
LATE = [(10_000, 245_000), (70_000, 5_000)]


def only(*measurements: Measurement) -> Target:
    (found,) = targets(measurements, [])
    return found


def test_a_ratio_is_the_median_of_the_pairs_not_of_the_servers() -> None:
    quinn = [measurement(server="plain quinn", server_cpu_seconds=cpu) for cpu in (5.0, 10.0, 4.0)]
    ours = [measurement(server_cpu_seconds=cpu) for cpu in (2.0, 5.0, 2.5)]
    found = {one.what: one for one in targets([*quinn, *ours], [CEILING])}
    assert found["1 speaker"].measured.startswith("2.00 × (1.60 to 2.50 in 3 pairs)")
    assert found["1 speaker"].reached
    assert found["share of the limit"].measured == "56% of 180,000"
    assert found["resident memory of a listener"].reached


def test_a_ratio_counts_only_with_little_loss_and_in_time() -> None:
    quinn = measurement(server="plain quinn", server_cpu_seconds=9.0)
    for spoilt in ({"latency_us": LATE}, {"delivered": 240_000}):
        found = targets([quinn, measurement(**spoilt)], [])
        assert not found[0].reached
        assert found[0].measured.startswith("3.")


def test_the_cost_of_a_listener_is_flat_where_the_core_serves_them() -> None:
    def grown(listeners: int, cpu: float, late: bool = False) -> Measurement:
        changes = {"latency_us": LATE} if late else {}
        return measurement(
            scenario="growth-mix",
            tier="mix",
            listeners=listeners,
            server_cpu_seconds=cpu * listeners / 1_000,
            **changes,
        )

    rounds = [grown(200, 9.0), grown(1_000, 1.0), grown(2_000, 1.2), grown(4_000, 1.3, late=False)]
    assert only(*rounds).reached
    assert only(*rounds).measured == "± 13%: 200 µs a second at 1,000, 260 at 4,000"
    assert not only(*rounds, grown(5_000, 1.4)).reached
    assert only(*rounds, grown(5_000, 0.1, late=True)).reached, "what comes late is not served"


def test_who_listens_must_lose_nothing_whatever_the_others_do() -> None:
    storm = measurement(scenario="storm", tier="mix", joiners=9_990, first_audio_us=[(70_000, 9_990)])
    assert (
        only(storm).measured == "the worst of all rounds lost 0.0000%; join to first audio p99 70 ms; 0 could not join"
    )
    assert only(storm).reached
    assert not only(storm, measurement(scenario="storm", worst_listener_loss=0.01)).reached
    alone, stalled = measurement(scenario="hostile-none"), measurement(scenario="hostile-stalled")
    assert only(alone, stalled).what == "200 stalled beside 1,000"
    assert only(alone, stalled).reached
    assert not only(alone, measurement(scenario="hostile-stalled", worst_listener_loss=0.01)).reached


def test_the_mix_serves_more_listeners_per_core_and_in_time() -> None:
    stage = measurement(scenario="tiers-full", listeners=3_000, server_cpu_seconds=4.0, awake=True)

    def beside(cpu: float, late_us: int = 30_000) -> Target:
        late = [(late_us, 250_000)]
        mix = measurement(
            scenario="tiers-full", tier="mix", listeners=7_000, server_cpu_seconds=cpu, latency_us=late, awake=True
        )
        return only(stage, mix)

    assert beside(3.7).what == "`mix` in packets of 60 ms, 7,000 beside 3,000, core kept awake"
    assert beside(3.7).measured == "2.52 × (2.52 to 2.52 in 1 pairs)"
    assert beside(3.7).reached
    assert not beside(3.8).reached
    assert not beside(3.7, 70_000).reached


def test_seven_thousand_on_the_mix_have_sixty_milliseconds() -> None:
    def crowd(late_us: int) -> Measurement:
        late = [(30_000, 200_000), (late_us, 50_000)]
        return measurement(scenario="growth-mix", tier="mix", listeners=7_000, latency_us=late)

    assert only(crowd(60_000)).reached
    assert only(crowd(60_000)).measured == "p99 60.0 ms, loss 0.0000%, 50% of the core"
    assert not only(crowd(61_000)).reached
