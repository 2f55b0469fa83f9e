"""PJSIP and twinkle as telephones of a customer, of a vendor and at home: what both ends and the CDR tell of a call."""

import importlib.util
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from string import Template
from typing import Any

import pytest
from doubles.daemon import Daemon
from doubles.sockets.loopback import Endpoint
from e2e.addresses import NETWORK
from e2e.conditions import eventually
from e2e.stage import SQLITE, Stage

from .addresses import PJSIP_PHONES, SOFTPHONE_SWITCH, TWINKLE_MEDIA, TWINKLES
from .pjsip import MANDATORY, RFC_2833, SIP_INFO, Pjsip
from .twinkle import Twinkle

HERE = Path(__file__).parent
CALLER = "12025550100"
pytestmark = pytest.mark.skipif(importlib.util.find_spec("pjsua2") is None, reason="PyPI has pjsua2 for x86_64 alone")
with_twinkle = pytest.mark.skipif(
    shutil.which("twinkle-console") is None, reason="twinkle is not installed: `make interop` installs it"
)


@pytest.fixture(scope="module")
def switch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The switch that every test here shares."""
    values = {"network": NETWORK, "switch": str(SOFTPHONE_SWITCH), "database": SQLITE}
    configuration = Template((HERE / "softphones.yaml").read_text()).safe_substitute(values)
    with Daemon(tmp_path_factory.mktemp("softphones"), configuration) as daemon:
        made = Stage(daemon, SOFTPHONE_SWITCH)
        yield made
        made.expect_nothing_left()
        made.expect_books_in_order()
        assert daemon.interrupt() == 0


@pytest.fixture
def running() -> Iterator[ExitStack]:
    """Telephones that are switched off after the test."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def pjsip(running: ExitStack, tmp_path: Path, tone: Path) -> Callable[..., Pjsip]:
    """Start telephones of PJSIP."""

    def start(number: str, address: Endpoint, **more: Any) -> Pjsip:
        directory = tmp_path / f"pjsip-{number}"
        directory.mkdir()
        return running.enter_context(Pjsip(directory, number, address, tone, **more))

    return start


@pytest.fixture
def twinkle(running: ExitStack, tmp_path: Path) -> Callable[..., Twinkle]:
    """Start telephones of twinkle."""

    def start(number: str, address: Endpoint, password: str = "") -> Twinkle:
        directory = tmp_path / f"twinkle-{number}"
        directory.mkdir()
        rtp_port = TWINKLE_MEDIA[address]
        return running.enter_context(Twinkle(directory, number, address, SOFTPHONE_SWITCH, password, rtp_port=rtp_port))

    return start


def record_of(switch: Stage, number: str) -> dict[str, Any]:
    """Return the CDR of a call, once nothing of it is left."""
    switch.expect_nothing_left()
    switch.expect_clean_log()
    return switch.record_of(number)


def test_pjsip_calls_pjsip_with_reliable_responses_sound_holds_updates_and_keys(
    switch: Stage, pjsip: Callable[..., Pjsip]
) -> None:
    number = switch.number("441")
    caller = pjsip(CALLER, PJSIP_PHONES[0], prack=MANDATORY)
    callee = pjsip(number, PJSIP_PHONES[1], prack=MANDATORY)
    out = caller.dial(number, SOFTPHONE_SWITCH)
    there = callee.expect("incoming")["call"]
    caller.expect("state", state="EARLY", code=180)
    callee.order("answer", call=there, code=200)
    caller.expect("state", state="CONFIRMED")
    callee.expect("state", state="CONFIRMED")
    sides = (caller, out), (callee, there)
    for phone, call in sides:
        phone.expect_sound(call)
    for (holder, held_by), (other, held) in (sides, sides[::-1]):
        holder.order("hold", call=held_by)
        holder.expect("media", status="holds")
        other.expect("media", call=held, status="held")
        holder.settle(held_by)
        holder.order("resume", call=held_by)
        holder.expect("media", status="active")
        other.expect("media", call=held, status="active")
        holder.settle(held_by)
    callee.order("update", call=there)
    callee.expect("answer", method="UPDATE", code=200)
    for (presser, pressing), (other, pressed), method in ((*sides, RFC_2833), (*sides[::-1], SIP_INFO)):
        presser.order("press", call=pressing, keys="5", method=method)
        other.expect("key", call=pressed, key="5")
    callee.order("hangup", call=there)
    caller.expect("state", state="DISCONNECTED")
    record = record_of(switch, number)
    assert (record["end_reason"], record["hangup_source"], record["routing_gateway"]) == (
        "Normal", "callee", "pjsip-vendor",
    )  # fmt: skip
    assert (record["codec"], record["caller_user_agent"]) == ("speex", "PJSIP")


def test_pjsip_refuses_gives_up_and_refuses_a_fax(switch: Stage, pjsip: Callable[..., Pjsip]) -> None:
    numbers = [switch.number("441") for _ in range(3)]
    caller, callee = pjsip(CALLER, PJSIP_PHONES[0]), pjsip("callee", PJSIP_PHONES[1])
    for number, code in zip(numbers[:2], (486, 487), strict=True):
        out = caller.dial(number, SOFTPHONE_SWITCH)
        there = callee.expect("incoming")["call"]
        caller.expect("state", state="EARLY")
        if code == 486:
            callee.order("answer", call=there, code=code)
        else:
            caller.order("hangup", call=out)
        assert caller.expect("state", state="DISCONNECTED")["code"] == code
        assert record_of(switch, number)["sip_code"] == code
    out = caller.dial(numbers[2], SOFTPHONE_SWITCH)
    callee.order("answer", call=callee.expect("incoming")["call"], code=200)
    caller.expect("state", state="CONFIRMED")
    caller.order("fax", call=out, port=21_100, host=PJSIP_PHONES[0].host)
    assert caller.expect("answer", method="INVITE")["code"] == 488
    caller.expect_sound(out)
    caller.order("hangup", call=out)
    callee.expect("state", state="DISCONNECTED")
    assert record_of(switch, numbers[2])["end_reason"] == "Normal"


def test_pjsip_at_home_registers_over_udp_and_tcp_and_transfers_with_and_without_consultation(
    switch: Stage, pjsip: Callable[..., Pjsip]
) -> None:
    transports = ("udp", "tcp", "udp")
    home = {"registrar": str(SOFTPHONE_SWITCH), "password": "secret"}
    first, second, third = (
        pjsip(f"710{number}", place, transport=transport, **home)
        for number, (place, transport) in enumerate(zip(PJSIP_PHONES, transports, strict=True), start=1)
    )
    for phone in (first, second, third):
        phone.expect("registration", code=200)

    def connect(caller: Pjsip, number: str, callee: Pjsip, transport: str = "udp") -> tuple[int, int]:
        out = caller.dial(number, SOFTPHONE_SWITCH, transport)
        there: int = callee.expect("incoming")["call"]
        callee.order("answer", call=there, code=200)
        caller.expect("state", call=out, state="CONFIRMED")
        callee.expect("state", call=there, state="CONFIRMED")
        caller.settle(out)  # until the switch has its ACK, it answers 491 to what the other side asks for
        return out, there

    # 7101 calls 7102, asks 7103 and connects the two
    out, waiting = connect(first, "7102", second)
    first.order("hold", call=out)
    first.expect("media", call=out, status="holds")
    asking, there = connect(first, "7103", third)
    first.order("replace", call=out, other=asking)
    first.expect("state", state="DISCONNECTED")
    first.expect("state", state="DISCONNECTED")
    second.expect_sound(waiting)
    third.expect_sound(there)
    second.order("hangup", call=waiting)
    third.expect("state", call=there, state="DISCONNECTED")
    # 7102, over TCP, calls 7101 and transfers it to 7103 without asking
    out, there = connect(second, "7101", first, "tcp")
    second.order("transfer", call=out, uri=f"sip:7103@{SOFTPHONE_SWITCH}")
    ringing = third.expect("incoming")["call"]
    third.order("answer", call=ringing, code=200)
    second.expect("state", call=out, state="DISCONNECTED")
    first.expect_sound(there)
    third.expect_sound(ringing)
    third.order("hangup", call=ringing)
    first.expect("state", call=there, state="DISCONNECTED")
    # 7101 is called by 7103 and transfers it to 7102: without asking, then after it has asked
    out, there = connect(third, "7101", first)
    first.order("transfer", call=there, uri=f"sip:7102@{SOFTPHONE_SWITCH}")
    ringing = second.expect("incoming")["call"]
    second.order("answer", call=ringing, code=200)
    first.expect("state", call=there, state="DISCONNECTED")
    third.expect_sound(out)
    second.expect_sound(ringing)
    second.order("hangup", call=ringing)
    third.expect("state", call=out, state="DISCONNECTED")
    out, there = connect(third, "7101", first)
    first.order("hold", call=there)
    first.expect("media", call=there, status="holds")
    asking, ringing = connect(first, "7102", second)
    first.order("replace", call=there, other=asking)
    first.expect("state", state="DISCONNECTED")
    first.expect("state", state="DISCONNECTED")
    third.expect_sound(out)
    second.expect_sound(ringing)
    third.order("hangup", call=out)
    second.expect("state", call=ringing, state="DISCONNECTED")
    switch.expect_nothing_left()
    second.order("unregister")
    second.expect("registration", code=200, expires=0)
    eventually(lambda: {row["name"] for row in switch.daemon.ask("registrations")} == {"7101", "7103"}, "7102 left")
    for phone in (first, third):
        phone.order("unregister")
        phone.expect("registration", expires=0)


@with_twinkle
def test_twinkle_and_pjsip_call_each_other_hold_and_press_keys(
    switch: Stage, pjsip: Callable[..., Pjsip], twinkle: Callable[..., Twinkle]
) -> None:
    to_twinkle, to_pjsip = switch.number("442"), switch.number("441")
    caller, callee = twinkle(CALLER, TWINKLES[0]), twinkle(to_twinkle, TWINKLES[1])
    customer, vendor = pjsip(CALLER, PJSIP_PHONES[0]), pjsip(to_pjsip, PJSIP_PHONES[1])

    out = customer.dial(to_twinkle, SOFTPHONE_SWITCH)
    callee.expect("incoming call")
    callee.command("answer")
    callee.expect("call established")
    customer.expect("state", state="CONFIRMED")
    callee.command("hold")
    customer.expect("media", status="held")
    callee.expect("re-INVITE successful")
    callee.command("retrieve")
    customer.expect("media", status="active")
    callee.expect("re-INVITE successful")
    callee.expect("far end supports DTMF")  # until its sound has begun anew, twinkle drops keys without a word
    callee.command("dtmf 7")
    customer.expect("key", key="7")
    customer.order("press", call=out, keys="9", method=SIP_INFO)
    callee.expect("DTMF detected: 9")
    callee.command("bye")
    customer.expect("state", state="DISCONNECTED")
    record = record_of(switch, to_twinkle)
    assert (record["end_reason"], record["hangup_source"]) == ("Normal", "callee")
    assert record["callee_user_agent"].startswith("Twinkle/")

    caller.command(f"call sip:{to_pjsip}@{SOFTPHONE_SWITCH}")
    there = vendor.expect("incoming")["call"]
    vendor.order("answer", call=there, code=200)
    caller.expect("far end answered call")
    vendor.expect("state", state="CONFIRMED")
    caller.command("hold")
    vendor.expect("media", status="held")
    caller.expect("re-INVITE successful")
    caller.command("retrieve")
    vendor.expect("media", status="active")
    caller.expect("re-INVITE successful")
    caller.command("bye")
    vendor.expect("state", state="DISCONNECTED")
    record = record_of(switch, to_pjsip)
    assert (record["end_reason"], record["hangup_source"]) == ("Normal", "caller")


@with_twinkle
def test_twinkle_at_home_registers_is_called_and_transfers(
    switch: Stage, pjsip: Callable[..., Pjsip], twinkle: Callable[..., Twinkle]
) -> None:
    desk = twinkle("7104", TWINKLES[2], "secret")
    desk.expect("registration succeeded")
    customer, vendor = pjsip(CALLER, PJSIP_PHONES[0]), pjsip("any", PJSIP_PHONES[1])
    out = customer.dial("7104", SOFTPHONE_SWITCH)
    desk.expect("incoming call")
    desk.command("answer")
    customer.expect("state", state="CONFIRMED")
    customer.order("hangup", call=out)
    desk.expect("far end ended call")
    assert record_of(switch, "7104")["end_reason"] == "Normal"

    first, second = switch.number("441"), switch.number("441")
    desk.command(f"call sip:{first}@{SOFTPHONE_SWITCH}")
    calls = [vendor.expect("incoming")["call"]]
    vendor.order("answer", call=calls[0], code=200)
    desk.expect("far end answered call")
    desk.command(f"transfer sip:{second}@{SOFTPHONE_SWITCH}")
    calls.append(vendor.expect("incoming")["call"])
    vendor.order("answer", call=calls[1], code=200)
    desk.expect("call ended|successfully transferred|ended call")
    for call in calls:
        vendor.expect_sound(call)
    vendor.order("hangup", call=calls[0])
    vendor.expect("state", call=calls[1], state="DISCONNECTED")
    assert record_of(switch, second)["end_reason"] == "Normal"
    desk.command("deregister")
    desk.expect("de-registration succeeded")
