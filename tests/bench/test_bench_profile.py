"""Samples of a profile are sorted by what the work is for."""

import pytest

from bench.profile.categories import CATEGORIES, OTHER, Frame, Sample, category, functions, spread
from bench.profile.recording import parse

ENGINE = "engine-rs/net/src"


def sample(*functions: str, thread: str = "spaces-shard-0", kernel: bool = False) -> Sample:
    split = [function.partition(" in ") for function in functions]
    frames = [Frame(name, place, kernel and not number) for number, (name, _, place) in enumerate(split)]
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
        (("ring_core_0_17_14__aes_gcm_enc_update_vaes_avx2", f"seal in {ENGINE}/lean.rs"), "sending"),
        (("ring::aead::aes_gcm::open", f"open in {ENGINE}/lean.rs"), "acknowledgements"),
        (("aes_hw_encrypt",), "either way"),
    ],
)
def test_cryptography_is_told_by_its_direction(stack: tuple[str, ...], wanted: str) -> None:
    assert category(sample(*stack)) == f"AEAD + header protection, {wanted}"


@pytest.mark.parametrize(
    ("stack", "wanted"),
    [
        (("__memmove_avx_unaligned_erms in libc.so.6", f"seal in {ENGINE}/lean.rs"), "copy"),
        (("write in /rustc/1/library/core/src/ptr/mod.rs", f"seal in {ENGINE}/lean.rs"), "QUIC send state"),
        ((f"on_sent in {ENGINE}/lean/flight.rs",), "QUIC send state"),
        ((f"mask in {ENGINE}/lean/flight.rs", f"on_ack in {ENGINE}/lean/flight.rs"), "acknowledgements: state"),
        ((f"find in {ENGINE}/addressees.rs", f"receive in {ENGINE}/endpoint.rs"), "acknowledgements: whose packet"),
        ((f"to_sockaddr in {ENGINE}/udp.rs", "spaces_net::shard::Shard::work"), "batches for the socket"),
        (("quinn_proto::connection::Connection::poll_transmit",), "quinn-proto (joins, uplinks, once a second)"),
        ((f"expire in {ENGINE}/timers.rs", f"run in {ENGINE}/shard.rs"), "timers and housekeeping"),
        (("deliver in engine-rs/core/src/cursor.rs", f"work in {ENGINE}/shard.rs"), "engine, cursors, framing"),
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


def test_what_perf_prints_is_read_with_threads_and_stacks() -> None:
    text = (
        "spaces-shard-0  101 \n"
        "\tffffffff81000000 do_syscall_64 ([kernel.kallsyms])\n"
        "\t          3cbb7d spaces_net::shard::Shard::run::h0123456789abcdef (/x/_engine.abi3.so)\n"
        "\n"
        "two words  102 \n"
        "\t            55aa [unknown] (/usr/bin/python3.11)\n"
    )
    stacks = parse(text)
    assert [(stack.thread, len(stack.frames)) for stack in stacks] == [("spaces-shard-0", 2), ("two words", 1)]
    assert stacks[0].frames[0] == (0xFFFFFFFF81000000, "do_syscall_64", "[kernel.kallsyms]")
    # The call, not what it returns to.
    assert stacks[0].frames[1][0] == 0x3CBB7C
    assert parse("") == []
