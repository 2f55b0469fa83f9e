"""A vendor that takes INVITEs and says nothing: a few calls wait for it, the others go past it."""

import socket

from doubles.moved_clock import MovedClock, follow
from e2e.conditions import eventually

from vosd.routing.breaker import SILENCES

from .conftest import CONFIGURATION

BEGIN_MS = 1_790_000_000_000
CALLS = 24
RESPONSE_MS = 300
TWO_VENDORS = CONFIGURATION.replace(
    "routing_gateways:\n",
    "routing_gateways:\n"
    '  - {name: mute, account: carrier, address: "$mute", prefixes: ["44"], priority: 1, response_timeout: 0.3}\n',
).replace('address: "$vendor", prefixes: ["44"]', 'address: "$vendor", prefixes: ["44"], priority: 2')


def test_the_first_calls_wait_for_a_mute_vendor_and_the_rest_go_straight_to_the_next(stage, tmp_path):
    """The vendor rests for ten seconds of a clock that stands, however long the other calls take."""
    clock = MovedClock(tmp_path, BEGIN_MS)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
        mute.bind(("127.0.0.1", 0))
        mute.settimeout(30)
        scene = stage(configuration=TWO_VENDORS, prepare=follow, mute=f"127.0.0.1:{mute.getsockname()[1]}")
        for number in range(CALLS):
            scene.customer.call(f"44{number:07d}")
            if number < SILENCES:
                while b"INVITE sip:44%07d@" % number not in mute.recv(65_536):
                    pass  # the one before is repeated
                clock.stand_at((number + 1) * RESPONSE_MS)
            eventually(lambda wanted=number + 1: len(scene.customer.answered) == wanted, "the call is answered")
            scene.customer.hang_up(scene.customer.answered[-1])
        eventually(lambda: len(scene.records()) == CALLS, "every call recorded")
        explained = scene.daemon.ask(
            "route", "explain", "--live", "--gateway", "acme-pbx", "--caller", "1", "--callee", "440000001"
        )
        shown = {row["gateway"]: row for row in scene.daemon.ask("status", "--gateways")}
    records = scene.records()[::-1]
    waited = [record["attempts"][0]["gateway"] == "mute" for record in records]
    assert waited == [True] * SILENCES + [False] * (CALLS - SILENCES)
    assert all(record["pdd_ms"] >= RESPONSE_MS for record in records[:SILENCES])
    assert all([each["gateway"] for each in record["attempts"]] == ["carrier"] for record in records[SILENCES:])
    [event] = scene.events("gateway_resting")
    assert event["gateway"] == "mute"
    assert [choice["routing_gateway"] for choice in explained["candidates"]] == ["carrier"]
    [left] = explained["left"]
    assert (left["routing_gateway"], left["reason"].partition(":")[0]) == ("mute", "resting")
    assert shown["mute"]["state"] == "resting"
