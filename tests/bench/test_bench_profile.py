"""Samples of a profile are sorted by what the work is for."""

import pytest

from bench.profile.categories import CATEGORIES, OTHER, Frame, Sample, category, functions, spread
from bench.profile.recording import parse

ENGINE = "engine-rs/net/src"


def sample(*functions: str, thread: str = "spaces-shard-0", kernel: bool = False) -> Sample:
    frames = [Frame(*function.split(" in "), kernel=kernel and not number) for number, function in enumerate(functions)]
    return Sample(thread, tuple(frames))


@pytest.mark.parametrize(
    ("stack", "wanted"),
    [
        (("ip_finish_output2", "udp_sendmsg", "__sys_sendmmsg"), "kernel: sendmmsg"),
        (
            ("udp_queue_rcv_skb", "net_rx_action", "__do_softirq", "udp_sendmsg", "__sys_sendmmsg"),
            "kernel: receive softirq of loopback, listeners' wake-ups",
        ),
        (("skb_copy_datagram_iter", "__sys_recvmmsg"), "kernel: recvmmsg"),
        (("ep_poll", "do_syscall_64"), "kernel: waiting and waking (poll, futex, eventfd)"),
        (("clear_page_erms", "asm_exc_page_fault", "__sys_sendmmsg"), "kernel: sendmmsg"),
        (("rcu_sched_clock_irq",), "kernel: interrupts and the rest"),
    ],
)
def test_the_kernel_is_sorted_by_the_call_that_led_there(stack: tuple[str, ...], wanted: str) -> None:
    assert category(sample(*stack, kernel=True)) == wanted


@pytest.mark.parametrize(
    ("stack", "wanted"),
    [
        (("ring_core_0_17_14__aes_gcm_enc_update_vaes_avx2", "spaces_net::lean::State::seal"), "sending"),
        (("ring::aead::aes_gcm::open", "spaces_net::lean::State::open"), "acknowledgements"),
        (("aes_hw_encrypt",), "either way"),
    ],
)
def test_cryptography_is_told_by_its_direction(stack: tuple[str, ...], wanted: str) -> None:
    assert category(sample(*stack)) == f"AEAD + header protection, {wanted}"


@pytest.mark.parametrize(
    ("stack", "wanted"),
    [
        (("__memmove_avx_unaligned_erms in libc.so.6", "spaces_net::lean::State::seal"), "copy"),
        ((f"core::ptr::write in core/src/ptr/mod.rs", f"spaces_net::lean::State::seal in {ENGINE}/lean.rs"), "QUIC send state"),
        ((f"spaces_net::lean::flight::Flight::on_sent in {ENGINE}/lean/flight.rs",), "QUIC send state"),
        ((f"mask in {ENGINE}/lean/flight.rs", "spaces_net::lean::flight::Flight::on_ack"), "acknowledgements: state"),
        ((f"to_sockaddr in {ENGINE}/udp.rs", "spaces_net::shard::Shard::work"), "batches for the socket"),
        (("quinn_proto::connection::Connection::poll_transmit",), "quinn-proto (joins, uplinks, once a second)"),
        (("spaces_net::timers::Wheel::expire", "spaces_net::shard::Shard::run"), "timers and housekeeping"),
        (("spaces_core::cursor::Listener::deliver", "spaces_net::shard::Shard::work"), "engine, cursors, framing"),
        (("something else",), OTHER),
        ((), OTHER),
    ],
)
def test_the_engine_is_sorted_by_its_functions(stack: tuple[str, ...], wanted: str) -> None:
    assert category(sample(*stack)) == wanted
    assert wanted in CATEGORIES


def test_other_threads_are_a_category_of_their_own() -> None:
    assert category(sample("celt_decode", thread="spaces-mixer-0")) == "mixer"
    assert category(sample("_PyEval_EvalFrameDefault", thread="python")) == "Python"


def test_every_sample_is_counted_once() -> None:
    samples = [sample("a"), sample("a"), sample("__memcpy", "b")]
    assert spread(samples) == {OTHER: 2, "copy": 1}
    assert functions(samples, 1) == [(OTHER, "a", 2)]


def test_what_perf_prints_is_read_with_threads_stacks_and_mappings() -> None:
    text = (
        "python  100 PERF_RECORD_MMAP2 100/100: [0x7f0000001000(0x2000) @ 0x1000 fe:00 5 0]: r-xp /x/_engine.abi3.so\n"
        "\n"
        "spaces-shard-0  101 \n"
        "\t7f0000001010 spaces_net::shard::Shard::run::h0123456789abcdef (/x/_engine.abi3.so)\n"
        "\tffffffff81000000 do_syscall_64 ([kernel.kallsyms])\n"
        "\n"
        "two words  102 \n"
        "\t    55aa [unknown] (/usr/bin/python3.11)\n"
    )
    raw, maps = parse(text)
    assert [(found.thread, len(found.frames)) for found in raw] == [("spaces-shard-0", 2), ("two words", 1)]
    assert raw[0].frames[1] == (0xFFFFFFFF81000000, "do_syscall_64", "[kernel.kallsyms]")
    mapping = maps.find(0x7F0000001010)
    assert mapping is not None
    assert (mapping.offset, mapping.path) == (0x1000, "/x/_engine.abi3.so")
    assert maps.find(0x7F0000003000) is None
    assert maps.find(0) is None
