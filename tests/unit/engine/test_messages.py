"""MESSAGE between phones and trunks (RFC 3428): who may send, who is sent them, and what the sender is answered."""

import pytest
from doubles.data.builders import account, catalogue, mapping_gateway, override, phone, routing_gateway
from doubles.sockets.loopback import Endpoint
from doubles.virtual.exchange import SWITCH, Exchange
from doubles.virtual.messenger import MessagingPhone, MessagingTrunk, ask
from doubles.virtual.scene import CUSTOMER, VENDORS, vendor_gateway

from vosd.billing.destinations import DestinationClass
from vosd.catalogue.overrides import Setting, Target
from vosd.obs.figures import Figure
from vosd.routing.breaker import place_of
from vosd.trunks.dialect import CalleeDialect, IdentityHeader, Passing
from vosd.trunks.dids import Did
from vosd.trunks.gateways import Address
from vosd.trunks.header_rules import HeaderRules, TrunkHeaders
from vosd.trunks.number_format import CallerFormat
from vosd.trunks.number_rules import OutgoingNumbers

DESK, MOBILE = Endpoint("203.0.113.66", 41_234), Endpoint("203.0.113.67", 5_070)
TEXTS = CalleeDialect(messages=True)


class Correspondence:
    """Phones 7001 (two devices) and 7002, a customer's trunk and vendors that messages pass between."""

    def __init__(self, *vendors, phones=None, customer=None, **more):
        known = [
            mapping_gateway("acme", f"{CUSTOMER.host}/32", **{"messages_per_minute": 600, **(customer or {})}),
            *(vendors or (vendor_gateway(0, dialect=TEXTS), vendor_gateway(1, dialect=TEXTS))),
        ]
        phones = phones or (phone("7001", messages_per_minute=60), phone("7002", messages_per_minute=60))
        self.exchange = Exchange(catalogue(known, phones=phones, **more), balances={"acme": 0})
        self.wire = self.exchange.wire
        self.desk, self.mobile = (self.phone(each, "7001") for each in (DESK, MOBILE))
        self.other = self.phone(Endpoint("203.0.113.68", 5_060), "7002")
        self.customer = MessagingTrunk(self.wire, CUSTOMER, SWITCH)
        self.vendors = [MessagingTrunk(self.wire, each, SWITCH) for each in VENDORS[:2]]

    def phone(self, address, number):
        made = MessagingPhone(self.wire, address, SWITCH, number)
        made.register()
        return made

    def counted(self, figure):
        return self.exchange.node.messages.totals()[figure]

    def close(self):
        self.wire.run_for(70_000)
        assert self.exchange.node.messages.census() == {Figure.RELAYS: 0}
        assert self.exchange.sink.all_records == []
        assert self.exchange.endpoint.census()["transactions"] == 0


def test_a_message_of_a_phone_reaches_every_device_of_another_one():
    talk = Correspondence()
    assert talk.other.write("7001", "Hello, desk").answer.status == 200
    talk.wire.run_for(100)
    for device in (talk.desk, talk.mobile):
        (message,) = device.taken
        assert (message.body, message["Content-Type"]) == ("Hello, desk", "text/plain")
        assert message.start_line == f"MESSAGE sip:7001@{device.address} SIP/2.0"
        assert message["From"].startswith("<sip:7002@192.0.2.1>;tag=")
        assert message["Max-Forwards"] == "69"
        assert message.every("Contact") == []
    assert talk.counted(Figure.MESSAGES_DELIVERED) == 1
    talk.close()


def test_a_device_with_two_flows_is_sent_a_text_once():
    talk = Correspondence()
    for number, flow in enumerate((talk.desk, talk.mobile), start=1):
        flow.register(f'<{flow.contact}>;reg-id={number};+sip.instance="<urn:uuid:7>"')
    assert talk.other.write("7001", "Hello").answer.status == 200
    talk.wire.run_for(100)
    assert len(talk.desk.taken) + len(talk.mobile.taken) == 1
    talk.close()


@pytest.mark.parametrize("has_both_failed", [True, False], ids=["both", "one"])
def test_a_text_whose_flow_has_failed_behind_a_proxy_takes_the_other_one(has_both_failed):
    """RFC 5626 section 5.3: the proxy before the phone says 430 and has not delivered it."""
    talk = Correspondence()
    talk.desk.register(f'<{talk.desk.contact}>;reg-id=1;+sip.instance="<urn:uuid:7>"')
    talk.wire.run_for(1_000)
    talk.mobile.register(f'<{talk.mobile.contact}>;reg-id=2;+sip.instance="<urn:uuid:7>"')
    talk.mobile.status = 430
    talk.desk.status = 430 if has_both_failed else 200
    assert talk.other.write("7001", "Hello").answer.status == (480 if has_both_failed else 200)
    talk.wire.run_for(100)
    assert (len(talk.desk.taken), len(talk.mobile.taken)) == (1, 1)
    talk.close()


@pytest.mark.parametrize("is_unreachable", [True, False], ids=["its connection has failed", "it is silent"])
def test_a_text_whose_connection_fails_takes_the_other_flow_and_one_that_may_have_come_does_not(is_unreachable):
    talk = Correspondence()
    for number, flow in enumerate((talk.desk, talk.mobile), start=1):
        flow.register(f'<{flow.contact}>;reg-id={number};+sip.instance="<urn:uuid:7>"')
        talk.wire.run_for(1_000)
    talk.mobile.status = 0
    question = talk.other.write("7001", "Hello")
    talk.wire.run_for(100)
    (asked,) = talk.exchange.endpoint.store.clients.values()
    if is_unreachable:
        failure = asked.transport_failed(talk.exchange.clock.now())
        failure.owner.no_response(failure)
        talk.exchange.flush()
    talk.wire.run_for(20_000)
    assert (len(talk.desk.taken), question.answer.status) == ((1, 200) if is_unreachable else (0, 480))
    talk.close()


@pytest.mark.parametrize("takes_it_first", [True, False])
def test_a_text_takes_the_other_flow_of_a_device_also_where_another_device_has_it(takes_it_first):
    """The sender is answered by the first device; the text reached the second one only if that was slower."""
    talk = Correspondence()
    tablet = talk.phone(Endpoint("203.0.113.69", 5_060), "7001")

    def register_tablet():
        tablet.register(f'<{tablet.contact}>;reg-id=1;+sip.instance="<urn:uuid:9>"')
        talk.wire.run_for(1_000)

    if takes_it_first:
        register_tablet()
    for number, flow in enumerate((talk.desk, talk.mobile), start=1):
        flow.register(f'<{flow.contact}>;reg-id={number};+sip.instance="<urn:uuid:7>"')
        talk.wire.run_for(1_000)
    if not takes_it_first:
        register_tablet()
    talk.mobile.status = 430
    assert talk.other.write("7001", "Hello").answer.status == 200
    talk.wire.run_for(100)
    assert [len(each.taken) for each in (tablet, talk.mobile, talk.desk)] == [1, 1, 1]
    talk.close()


def test_the_next_gateway_is_tried_where_a_proxy_has_lost_the_flow():
    talk = Correspondence()
    talk.vendors[0].status = 430
    assert ask(talk.customer, "MESSAGE", "4420", body="Hi").answer.status == 200
    assert len(talk.vendors[1].taken) == 1
    talk.close()


def test_one_device_that_takes_it_is_enough():
    talk = Correspondence()
    talk.desk.status = 486
    talk.mobile.status = 202
    assert talk.other.write("7001", "Hello").answer.status == 202
    talk.close()


def test_a_message_of_a_phone_names_no_diversion_by_a_number_of_others():
    dialect = CalleeDialect(messages=True, diversion=Passing.PASS, history_info=Passing.PASS)
    talk = Correspondence(vendor_gateway(0, dialect=dialect))
    by = "<sip:442070009999@192.0.2.1>"
    diverted = [f"Diversion: {by};reason=unconditional", f"History-Info: {by};index=1"]
    assert talk.desk.write("442071234567", "Hello", *diverted).answer.status == 200
    assert ask(talk.customer, "MESSAGE", "442071234567", *diverted, body="Hello").answer.status == 200
    of_phone, of_trunk = talk.vendors[0].taken
    assert [of_phone.every(name) for name in ("Diversion", "History-Info")] == [[], []]
    assert [len(of_trunk.every(name)) for name in ("Diversion", "History-Info")] == [1, 1]
    talk.close()


def test_a_message_of_a_phone_reaches_the_trunk_of_its_number_and_one_of_a_trunk_a_phone():
    rules = HeaderRules(passes=("x-*",), adds=(("X-Payer", "{account} {caller} {callee}"),))
    dialect = CalleeDialect(
        messages=True, identity=(IdentityHeader.ASSERTED,), headers=TrunkHeaders(rules), user_agent="Acme"
    )
    talk = Correspondence(vendor_gateway(0, dialect=dialect))
    text = "H\xe4llo \u20ac".encode().decode("ascii", "surrogateescape")  # a byte each, as the double counts them
    assert talk.desk.write("442079460000", text, "X-Thread: 7", "Expires: 60", "Subject: no").answer.status == 200
    (message,) = talk.vendors[0].taken
    assert message.start_line == f"MESSAGE sip:442079460000@{VENDORS[0]} SIP/2.0"
    assert message.data.endswith("\r\n\r\nH\xe4llo \u20ac".encode())
    assert message["P-Asserted-Identity"] == "<sip:7001@192.0.2.1>"
    assert (message["X-Thread"], message["X-Payer"], message["Expires"]) == ("7", "acme 7001 442079460000", "60")
    assert (message["User-Agent"], message.every("Subject")) == ("Acme", [])

    assert ask(talk.customer, "MESSAGE", "7002", body="Hi", caller="44777").answer.status == 200
    assert [each.body for each in talk.other.taken] == ["Hi"]
    assert talk.other.taken[0]["From"].startswith("<sip:44777@")
    talk.close()


def test_a_number_of_the_inventory_reaches_its_phones_at_once():
    dids = [Did("4420", account="acme", phones=("7001", "7002")), Did("4421")]
    talk = Correspondence(dids=dids)
    assert ask(talk.customer, "MESSAGE", "4420", body="Hi").answer.status == 200
    talk.wire.run_for(100)
    assert [len(each.taken) for each in (talk.desk, talk.mobile, talk.other)] == [1, 1, 1]
    assert ask(talk.customer, "MESSAGE", "4421", body="Hi").answer.status == 404
    talk.close()


def test_the_next_gateway_is_tried_after_a_refusal_and_never_after_silence():
    talk = Correspondence()
    talk.vendors[0].status = 503
    assert ask(talk.customer, "MESSAGE", "4420", body="Hi").answer.status == 200
    assert len(talk.vendors[1].taken) == 1
    talk.vendors[0].status = 0
    began = talk.exchange.clock.now().mono
    assert ask(talk.customer, "MESSAGE", "4420", body="Hi").answer.status == 480
    assert talk.exchange.clock.now().mono - began < 16_000
    assert len(talk.vendors[1].taken) == 1
    talk.close()


@pytest.mark.parametrize(
    ("theirs", "ours"), [(404, 404), (486, 486), (415, 415), (302, 480), (401, 503), (408, 480), (600, 600)]
)
def test_the_sender_is_answered_what_the_receiver_thinks_of_it(theirs, ours):
    talk = Correspondence(vendor_gateway(0, dialect=TEXTS))
    talk.vendors[0].status = theirs
    assert ask(talk.customer, "MESSAGE", "4420", body="Hi").answer.status == ours
    assert talk.counted(Figure.MESSAGES_REFUSED) == 1
    talk.close()


def test_a_vendor_is_sent_texts_to_emergency_numbers_of_any_sender():
    wanted = OutgoingNumbers(caller_format=CallerFormat(replacement="442000000000"))
    strict = OutgoingNumbers(caller_format=CallerFormat())
    for numbers, shown in ((wanted, "442000000000"), (strict, None)):
        talk = Correspondence(vendor_gateway(0, dialect=TEXTS, prefixes=("*",), numbers=numbers))
        assert ask(talk.customer, "MESSAGE", "112", caller="1000", body="Fire").answer.status == 200
        assert ask(talk.customer, "MESSAGE", "4420", caller="1000", body="Hi").answer.status == (200 if shown else 480)
        senders = [each["From"].partition("sip:")[2].partition("@")[0] for each in talk.vendors[0].taken]
        assert senders == (["1000"] if shown is None else ["1000", shown])
        talk.close()


@pytest.mark.parametrize(
    ("kept_from", "status", "sent_to"),
    [
        ((("1",), ()), 200, [1]),
        ((("1",), ("11",)), 200, [0]),
        ((("112",), ("112",)), 480, []),
        ((("112",), ()), 200, [1]),
    ],
)
def test_a_text_to_an_emergency_number_goes_to_a_vendor_that_denies_its_prefix_behind_all_others(
    kept_from, status, sent_to
):
    """As a call does: it is kept from the number by the whole number alone."""
    talk = Correspondence(
        *(
            vendor_gateway(index, dialect=TEXTS, prefixes=("*",), denied_prefixes=denied)
            for index, denied in enumerate(kept_from)
        )
    )
    assert ask(talk.customer, "MESSAGE", "112", body="Fire").answer.status == status
    assert [index for index, each in enumerate(talk.vendors) if each.taken] == sent_to
    talk.close()


def test_a_text_to_an_emergency_number_is_sent_to_a_vendor_that_has_asked_for_a_pause_behind_all_others():
    for vendors, sent_to in ((1, [0]), (2, [1])):
        talk = Correspondence(*(vendor_gateway(index, dialect=TEXTS, prefixes=("*",)) for index in range(vendors)))
        talk.exchange.switch.live.rests.begin("vendor-0", 60, talk.exchange.clock.now().mono)
        assert ask(talk.customer, "MESSAGE", "4420", body="Hi").answer.status == (480 if vendors == 1 else 200)
        for each in talk.vendors:
            each.taken.clear()
        assert ask(talk.customer, "MESSAGE", "112", body="Fire").answer.status == 200
        assert [index for index, each in enumerate(talk.vendors) if each.taken] == sent_to
        talk.close()


def test_who_may_not_send_and_what_cannot_be_sent():
    talk = Correspondence(
        vendor_gateway(0),
        phones=(phone("7001", messages_per_minute=60), phone("7002"), phone("7003", messages_per_minute=60)),
    )
    statuses = {
        "a phone that may not send": talk.other.write("7001", "x").answer.status,
        "a phone that is sent none": talk.desk.write("7002", "x").answer.status,
        "a phone that is away": talk.desk.write("7003", "x").answer.status,
        "a gateway that is sent none": talk.desk.write("4420", "x").answer.status,
        "a number without route": talk.desk.write("3120", "x").answer.status,
        "too large for UDP": talk.desk.write("7001", "x" * 1_300).answer.status,
        "too large at all": talk.desk.write("7001", "x" * 8_193).answer.status,
    }
    assert statuses == {
        "a phone that may not send": 403, "a phone that is sent none": 403, "a phone that is away": 480,
        "a gateway that is sent none": 403, "a number without route": 404, "too large for UDP": 513,
        "too large at all": 513,
    }  # fmt: skip
    assert talk.desk.taken == []
    assert talk.counted(Figure.MESSAGES_REFUSED) == 7
    talk.close()


def test_an_address_that_has_asked_for_a_rest_is_sent_no_text():
    addresses = tuple(Address(*each) for each in VENDORS[:2])
    gateway = routing_gateway("vendor-0", addresses=addresses, account="carriers", dialect=CalleeDialect(messages=True))
    talk = Correspondence(gateway)
    live, now = talk.exchange.switch.live, talk.exchange.clock.now()
    live.breakers.ask_for_rest(place_of(gateway, addresses[0]), 60_000, now.mono)
    assert talk.desk.write("442079460000", "x").answer.status == 200
    assert [len(each.taken) for each in talk.vendors[:2]] == [0, 1]
    live.breakers.ask_for_rest(place_of(gateway, addresses[1]), 60_000, now.mono)
    assert talk.desk.write("442079460000", "x").answer.status == 480
    assert [len(each.taken) for each in talk.vendors[:2]] == [0, 1]
    talk.close()


@pytest.mark.parametrize(
    ("accounts", "block"),
    [
        ({"acme": {"enabled": False}}, None),
        ({"acme": {"expires_at": 1}}, None),
        ({"acme": {"denied_prefixes": ("44",)}}, None),
        ({"acme": {"agent": "top"}, "top": {"enabled": False}}, None),
        ({"acme": {"agent": "top"}, "top": {"expires_at": 1}}, None),
        ({}, override(Target.ACCOUNT, "acme")),
        ({}, override(Target.ACCOUNT, "acme", Setting.CLOSED)),
        ({}, override(Target.MAPPING, "7001")),
        ({}, override(Target.DESTINATION, "acme/uk")),
        ({"acme": {"agent": "top"}}, override(Target.ACCOUNT, "top")),
        ({}, override(Target.ACCOUNT, "carriers")),
    ],
)
def test_an_account_that_may_not_call_a_number_sends_no_text_to_it(accounts, block):
    known = [account(name, **terms) for name, terms in {"acme": {}, "top": {}, **accounts}.items()]
    talk = Correspondence(accounts=known, destination_classes=(DestinationClass("uk", ("44",)),))
    if block is not None:
        talk.exchange.override(block)
    text = talk.desk.write("442079460000", "x").answer.status
    call = talk.desk.call("442079460000")
    talk.wire.run_until(lambda: call.final is not None)
    of_vendor = block is not None and block.name == "carriers"
    assert (text, call.final) == ((480, 503) if of_vendor else (403, 403))
    assert talk.vendors[0].taken == talk.vendors[1].taken == []


def test_what_only_calls_are_refused_for_refuses_no_text():
    talk = Correspondence(accounts=[account("acme", max_concurrent=0)])
    assert talk.desk.write("442079460000", "x").answer.status == 200
    assert talk.exchange.leftovers() == {}
    talk.close()


def test_a_sender_has_a_rate():
    talk = Correspondence(customer={"messages_per_minute": 12})
    statuses = [ask(talk.customer, "MESSAGE", "7002", body=str(number)).answer.status for number in range(12)]
    assert statuses == [200] * 10 + [503] * 2
    talk.wire.run_for(10_000)
    assert ask(talk.customer, "MESSAGE", "7002", body="later").answer.status == 200
    talk.close()


def test_an_unknown_source_is_challenged_and_one_that_proves_nothing_gets_no_further():
    talk = Correspondence()
    outsider = MessagingTrunk(talk.wire, Endpoint("198.51.100.99", 5_060), SWITCH)
    assert ask(outsider, "MESSAGE", "7002", body="spam").answer.status == 401
    assert talk.other.taken == []
    talk.close()


def test_a_message_that_loops_or_has_no_hops_left_goes_no_further():
    talk = Correspondence()
    mark = talk.exchange.endpoint.flows.mark
    via = f"Via: SIP/2.0/UDP 192.0.2.1:5060;branch={mark}x"
    assert ask(talk.customer, "MESSAGE", "7002", via, body="x").answer.status == 482
    talk.close()


def test_a_repeated_message_is_delivered_once():
    talk = Correspondence()
    talk.wire.delays = lambda packet: (1, 40) if b"MESSAGE" in packet.data[:7] else (1,)
    assert ask(talk.customer, "MESSAGE", "7002", body="x").answer.status == 200
    talk.wire.run_for(1_000)
    assert len(talk.other.taken) == 1
    talk.close()


def test_a_reload_ends_and_begins_the_relay():
    talk = Correspondence()
    silent = catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0, dialect=TEXTS)])
    talk.exchange.node.swap_catalogue(silent, talk.exchange.clock.now())
    assert ask(talk.customer, "MESSAGE", "4420", body="x").answer.status == 405
    talk.close()


def test_an_error_of_the_switch_is_answered_once_and_leaves_nothing(monkeypatch):
    talk = Correspondence()

    def fail(*_arguments, **_terms):
        raise RuntimeError("planted")

    monkeypatch.setattr(talk.exchange.endpoint.client, "send_request", fail)
    assert ask(talk.customer, "MESSAGE", "7002", body="x").answer.status == 500
    talk.close()
