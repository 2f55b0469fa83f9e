"""Presets of trunks: what their pages show is valid, and a conversation with a peer of each kind goes as it expects."""

import re
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from doubles.certificates import Authority
from doubles.data.builders import catalogue, mapping_gateway
from doubles.sockets.peer import ANSWER
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway
from doubles.virtual.vendor import Line, Script

from vosd.config.keys.trunk_presets import TRUNK_PRESETS, TrunkPreset
from vosd.trunks.dialect import CalleeDialect, CallerDialect

PAGES: Final = Path(__file__).parents[3] / "docs" / "trunks"
KINDS: Final = tuple(preset.value for preset in TrunkPreset)
TOP: Final = """
rate_groups: [{name: sell, rates: [{prefix: "44", billing_rate: "0.60"}]}]
accounts: [{id: acme, rate_group: sell}, {id: carrier, rate_group: sell}]
"""


@pytest.fixture
def examples(site, tmp_path):
    pair = Authority(tmp_path).issue("sbc", "sbc.acme.example")

    def load(kind: str):
        (text,) = re.findall(r"```yaml\n(.*?)```", (PAGES / f"{kind}.md").read_text(encoding="utf-8"), re.DOTALL)
        text = text.replace("sbc.pem", str(pair.file)).replace("sbc.key", str(pair.key))
        site.environ = {"TWILIO": "secret"}
        return site.load(TOP + text).catalogue

    return load


def test_each_preset_has_a_page_and_each_page_a_preset():
    assert {page.stem for page in PAGES.glob("*.md")} == set(KINDS) == {each.value for each in TRUNK_PRESETS}


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_of_its_page_is_a_configuration(examples, kind):
    found = examples(kind)
    assert len(found.mapping_gateways) == len(found.routing_gateways) == 1


class Conversation(NamedTuple):
    """Headers that a peer of a kind sends as a caller, and those that one is sent as the called side."""

    caller: tuple[str, ...]
    """Headers of its INVITE."""
    number: str
    """The calling number that is read from them."""
    sent: tuple[str, ...]
    """Beginnings of lines of the INVITE that it is sent."""
    not_sent: tuple[str, ...] = ()


TALKS: Final = {
    "microsoft-teams": Conversation(
        ("P-Asserted-Identity: <sip:+4930111@sip.pstnhub.microsoft.com>", "Privacy: none"), "+4930111",
        (f"INVITE sip:+{CALLEE}@", "Contact: <sip:sbc.acme.example:", "P-Asserted-Identity: ", f"To: <sip:+{CALLEE}@"),
    ),
    "asterisk": Conversation(
        ('P-Asserted-Identity: "Bob" <sip:4930111@192.0.2.30>',), "4930111", ("P-Asserted-Identity: ",),
    ),
    "freeswitch": Conversation(
        ('Remote-Party-ID: "Bob" <sip:4930111@192.0.2.31>;party=calling;screen=yes;privacy=off',), "4930111",
        ("Remote-Party-ID: ",), ("P-Asserted-Identity: ",),
    ),
    "cisco-cube": Conversation(
        ("Remote-Party-ID: <sip:4930111@192.0.2.32>;party=calling;screen=yes;privacy=off",
         "Diversion: <sip:4930222@192.0.2.32>;privacy=off;reason=no-answer;screen=yes"), "4930111",
        (f"INVITE sip:+{CALLEE}@", "Remote-Party-ID: ", "Diversion: <sip:+4930222@"),
    ),
    "3gpp-ims": Conversation(
        ("P-Asserted-Identity: <sip:+4930111@ims.example;user=phone>", "P-Charging-Vector: icid-value=7",
         "P-Early-Media: supported", "Session-ID: f81d4fae7dec11d0a76500a0c91e6bf6"), "+4930111",
        (f"INVITE sip:+{CALLEE}@ims.example;user=phone", "P-Asserted-Identity: ", "P-Early-Media: supported",
         "P-Charging-Vector: icid-value=7", "Session-ID: f81d4fae"),
    ),
    "vos3000": Conversation((), "12025550100", ("From: <sip:12025550100@",), ("P-Asserted-Identity: ",)),
    "twilio": Conversation(
        ("X-Campaign: spring",), "12025550100",
        (f"INVITE sip:+{CALLEE}@", "From: <sip:+12025550100@", "X-Campaign: spring"), ("P-Asserted-Identity: ",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_conversation_with_a_peer_of_its_kind(examples, kind):
    found, talk = examples(kind), TALKS[kind]
    (caller,), (callee,) = found.mapping_gateways.values(), found.routing_gateways.values()
    assert isinstance(caller.dialect, CallerDialect)
    assert isinstance(callee.dialect, CalleeDialect)
    customer = mapping_gateway("acme", f"{CUSTOMER.host}/32", dialect=caller.dialect)
    scene = Scene(catalogue([customer, vendor_gateway(0, dialect=callee.dialect)]))
    answer = ("P-Early-Media: sendrecv", "P-Asserted-Identity: <sip:+44207@ims.example>", "Server: Peer/1")
    scene.vendor.script = Script((Line(0, 100), Line(0, 183, ANSWER, answer), Line(1_000, 200, ANSWER, answer)))
    call = scene.settled_call(Intent(headers=talk.caller))
    assert call.final == 200
    record = scene.finish(call)
    invite = scene.bytes_to(vendor_gateway_address(scene)).decode().split("\r\n\r\n")[0]
    assert record.caller_in == talk.number
    for line in talk.sent:
        assert f"\n{line}" in f"\n{invite}"
    for line in talk.not_sent:
        assert line not in invite
    to_caller = scene.bytes_to(CUSTOMER).decode()
    assert ("P-Early-Media: sendrecv" in to_caller) is (kind == "3gpp-ims")


def vendor_gateway_address(scene: Scene):
    return scene.vendor.address


def test_the_own_keys_of_a_gateway_win_one_by_one(site):
    text = "preset: cisco-cube, number_format: {from: e164}, display_name: strip, address: 192.0.2.9"
    found = site.load(site.minimal.replace("address: 192.0.2.9", text)).catalogue.routing_gateways["carrier"].dialect
    assert (found.number_format.from_.value, found.number_format.to.value) == ("e164", "plus_e164")
    assert found.display_name.value == "strip"


def test_teams_needs_our_name(site):
    (problem,) = site.errors(site.minimal.replace("address: 192.0.2.9", "preset: microsoft-teams"))
    assert "contact_host" in problem
