"""The answer to a request of every method outside of dialogs, where nothing is relayed and where it is.

The table of ``docs/sip-conformance.md`` says the same.
"""

import re
from pathlib import Path

import pytest
from doubles.data.builders import catalogue, mapping_gateway, phone
from doubles.sockets.loopback import Endpoint
from doubles.virtual.exchange import SWITCH, Exchange
from doubles.virtual.messenger import MessagingPhone, MessagingTrunk, ask
from doubles.virtual.scene import CUSTOMER, VENDORS, vendor_gateway

from vosd.trunks.dialect import CalleeDialect

PLAIN = {
    "CANCEL": 481, "BYE": 481, "OPTIONS": 200, "REGISTER": 405, "INFO": 481, "UPDATE": 481, "PRACK": 481,
    "REFER": 403, "MESSAGE": 405, "SUBSCRIBE": 489, "NOTIFY": 481, "PUBLISH": 489, "OF-TOMORROW": 405,
}  # fmt: skip
"""Answers to a trunk that is known by its address, from a switch without phones."""
RELAYING = {**PLAIN, "REGISTER": 401, "MESSAGE": 200, "SUBSCRIBE": 403}
"""Answers to the same trunk from a switch with phones, messages and mailboxes."""
WITH_A_TAG = {
    "CANCEL": 481, "BYE": 481, "OPTIONS": 481, "REGISTER": 405, "INFO": 481, "UPDATE": 481, "PRACK": 481, "REFER": 481,
    "MESSAGE": 405, "SUBSCRIBE": 489, "NOTIFY": 489, "PUBLISH": 489, "OF-TOMORROW": 405, "INVITE": 481,
}  # fmt: skip
"""With the tag of a dialog that there is not."""
CHAPTER = (Path(__file__).parents[3] / "docs" / "sip-conformance.md").read_text(encoding="utf-8")


def switch(*, relays: bool) -> MessagingTrunk:
    """Return a trunk of a switch that relays, or does not."""
    gateways = [
        mapping_gateway("acme", f"{CUSTOMER.host}/32", messages_per_minute=600 if relays else 0),
        vendor_gateway(0, dialect=CalleeDialect(messages=relays)),
    ]
    phones = (phone("7001", voicemail="vendor-0"),) if relays else ()
    exchange = Exchange(catalogue(gateways, phones=phones), balances={"acme": 0})
    MessagingTrunk(exchange.wire, VENDORS[0], SWITCH)
    return MessagingTrunk(exchange.wire, CUSTOMER, SWITCH)


@pytest.mark.parametrize(("relays", "expected"), [(False, PLAIN), (True, RELAYING)])
def test_every_method_has_its_answer(relays, expected):
    trunk = switch(relays=relays)
    found = {method: ask(trunk, method, "4420", "Event: message-summary").answer for method in expected}
    assert {method: answer.status for method, answer in found.items()} == expected
    for answer in found.values():
        assert (answer.status == 405) == bool(answer.every("Allow")) or answer.status == 200
        assert (answer.status == 489) == bool(answer.every("Allow-Events"))


def test_every_method_with_the_tag_of_no_dialog_has_its_answer():
    trunk = switch(relays=False)
    found = {method: ask(trunk, method, "4420", to_tag="gone").answer.status for method in WITH_A_TAG}
    assert found == WITH_A_TAG


def test_an_ack_is_never_answered():
    trunk = switch(relays=True)
    question = ask(trunk, "ACK", "4420")
    trunk.wire.run_for(1_000)
    assert question.responses == []


def test_an_unknown_source_is_answered_nothing_but_challenges():
    trunk = switch(relays=True)
    outsider = MessagingTrunk(trunk.wire, Endpoint("198.51.100.99", 5_060), SWITCH)
    questions = {method: ask(outsider, method, "4420", "Event: message-summary") for method in RELAYING}
    trunk.wire.run_for(1_000)
    answered = {method: question.responses[0].status for method, question in questions.items() if question.responses}
    assert answered == {"REGISTER": 401, "MESSAGE": 401, "SUBSCRIBE": 401}


def test_a_phone_that_subscribes_is_not_taken_for_a_dialog_of_a_call():
    """A SUBSCRIBE with a tag is proven like one without: its dialog is none of the switch."""
    trunk = switch(relays=True)
    desk = MessagingPhone(trunk.wire, Endpoint("203.0.113.66", 41_234), SWITCH, "7001")
    desk.register()
    first = ask(desk, "SUBSCRIBE", "7001", "Event: message-summary", caller="7001", to_tag="gone")
    assert first.answer.status == 401


def test_the_chapter_says_the_same():
    rows = dict(re.findall(r"^\| `([A-Z]+)` \| [^|]+ \| ([^|]+) \|", CHAPTER, re.MULTILINE))
    for method, status in PLAIN.items():
        if method != "OF-TOMORROW":
            assert str(status) in rows[method], method
    for method in ("MESSAGE", "SUBSCRIBE"):
        assert str(RELAYING[method]) in rows[method], method
