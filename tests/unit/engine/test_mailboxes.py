"""Messages waiting (RFC 3842): subscriptions of phones to their mailboxes, and notifications with and without one."""

import pytest
from doubles.data.builders import catalogue, mapping_gateway, phone
from doubles.sockets.loopback import Endpoint
from doubles.virtual.exchange import SWITCH, Exchange
from doubles.virtual.messenger import MessagingPhone, MessagingTrunk, ask
from doubles.virtual.scene import CUSTOMER, VENDORS, vendor_gateway

from vosd.engine.messages.relay import OPEN_OF_ONE_MAX
from vosd.obs.figures import Figure
from vosd.routing.breaker import place_of
from vosd.trunks.gateways import Address

DESK, MOBILE = Endpoint("203.0.113.66", 41_234), Endpoint("203.0.113.67", 5_070)
SUMMARY = "Messages-Waiting: yes\r\nMessage-Account: sip:box7@voicemail\r\nVoice-Message: 2/8 (0/2)\r\n"
SUBSCRIPTION = ("Event: message-summary", "Expires: 600", "Accept: application/simple-message-summary")
STATE = ("Event: message-summary", "Subscription-State: active;expires=599")


class Office:
    """A voicemail gateway, another vendor, and phone 7001 with two devices whose mailbox is ``box7``."""

    def __init__(self, **voicemail):
        vendors = vendor_gateway(0, **voicemail), vendor_gateway(1)
        known = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), *vendors]
        boss = phone("7009", voicemail="vendor-0", mailbox="box9")
        twin = phone("7010", voicemail="vendor-0", mailbox="box.7")
        phones = (phone("7001", voicemail="vendor-0", mailbox="box7"), phone("7002"), boss, twin)
        self.exchange = Exchange(catalogue(known, phones=phones), balances={"acme": 0})
        self.wire = self.exchange.wire
        self.voicemail, self.outsider = (MessagingTrunk(self.wire, each, SWITCH) for each in VENDORS[:2])
        self.voicemail.headers = ("Expires: 599",)
        self.desk, self.mobile = (MessagingPhone(self.wire, each, SWITCH, "7001") for each in (DESK, MOBILE))
        self.other = MessagingPhone(self.wire, Endpoint("203.0.113.68", 5_060), SWITCH, "7002")
        for each in (self.desk, self.mobile, self.other):
            each.register()

    def subscribe(self, device, *headers, **terms):
        number = device.login.username
        contact = f"Contact: <sip:{number}@{device.address}>"
        return ask(device, "SUBSCRIBE", number, contact, *(headers or SUBSCRIPTION), caller=number, login=device.login,
                   **terms)  # fmt: skip

    def notify(self, trunk, user="7001", headers=STATE, **terms):
        return ask(trunk, "NOTIFY", user, f"Contact: <sip:{trunk.address}>", *headers, body=SUMMARY,
                   kind="application/simple-message-summary", **terms)  # fmt: skip

    def close(self):
        self.wire.run_for(70_000)
        assert self.exchange.node.messages.census() == {Figure.RELAYS: 0}
        assert self.exchange.endpoint.census()["transactions"] == 0


def test_a_subscription_goes_to_the_mailbox_and_its_dialog_is_that_of_both_ends():
    office = Office()
    question = office.subscribe(office.desk)
    answer = question.answer
    (subscribed,) = office.voicemail.taken
    assert subscribed.start_line == f"SUBSCRIBE sip:box7@{VENDORS[0]} SIP/2.0"
    assert subscribed["Contact"] == "<sip:7001@192.0.2.1:5060>"
    assert [subscribed[name] for name in ("Event", "Expires", "Accept")] == [
        "message-summary", "600", "application/simple-message-summary"
    ]  # fmt: skip
    assert (answer.status, answer["Expires"], answer["Contact"]) == (200, "599", "<sip:192.0.2.1:5060>")
    assert answer.to_tag == "trunk"
    assert "Authorization" not in str(subscribed.headers)

    # The notification within that dialog: only the device that has subscribed knows it.
    office.mobile.status = 481
    tag = subscribed["From"].partition("tag=")[2]
    told = office.notify(office.voicemail, call_id=subscribed["Call-ID"], to_tag=tag)
    assert told.answer.status == 200
    (notified,) = office.desk.taken
    assert notified.start_line == f"NOTIFY sip:7001@{DESK} SIP/2.0"
    assert notified.body == SUMMARY
    assert (notified["Call-ID"], notified["Subscription-State"]) == (subscribed["Call-ID"], "active;expires=599")
    assert notified["Contact"] == "<sip:192.0.2.1:5060>"

    # Another process knows no less of it: nothing is kept.
    renewed = office.subscribe(office.desk, call_id=subscribed["Call-ID"], to_tag="trunk")
    assert (renewed.answer.status, office.voicemail.taken[-1]["Call-ID"]) == (200, subscribed["Call-ID"])
    assert office.voicemail.taken[-1].to_tag == "trunk"
    assert office.exchange.node.messages.totals()[Figure.NOTIFICATIONS] == 1
    office.close()


@pytest.mark.parametrize("user", ["7001", "box7"])
def test_a_notification_without_subscription_reaches_every_device(user):
    office = Office()
    state = ("Event: message-summary", "Subscription-State: active")
    assert office.notify(office.voicemail, user, state).answer.status == 200
    office.wire.run_for(100)
    assert [each.body for each in (*office.desk.taken, *office.mobile.taken)] == [SUMMARY, SUMMARY]
    office.close()


def test_answers_of_the_mailbox_and_of_devices_reach_the_other_side():
    office = Office()
    office.voicemail.status, office.voicemail.headers = 423, ("Min-Expires: 900",)
    brief = office.subscribe(office.desk).answer
    assert (brief.status, brief["Min-Expires"]) == (423, "900")
    for theirs, ours in ((489, 489), (481, 481), (401, 503), (404, 404)):
        office.voicemail.status = theirs
        assert office.subscribe(office.desk).answer.status == ours
    office.desk.status = office.mobile.status = 481
    assert office.notify(office.voicemail).answer.status == 481
    office.desk.status = office.mobile.status = 0
    assert office.notify(office.voicemail).answer.status == 480
    office.close()


def test_what_is_no_subscription_or_notification_of_a_mailbox_is_refused():
    office = Office()
    presence = office.subscribe(office.desk, "Event: presence", "Expires: 600").answer
    assert (presence.status, presence["Allow-Events"]) == (489, "message-summary")
    assert office.subscribe(office.other).answer.status == 404
    assert ask(office.outsider, "SUBSCRIBE", "7001", *SUBSCRIPTION).answer.status == 401
    assert office.notify(office.outsider).answer.status == 481
    assert office.notify(office.voicemail, "7002").answer.status == 481
    assert office.notify(office.voicemail, headers=("Event: dialog", "Subscription-State: active")).answer.status == 489
    office.desk.register(expires=0)
    office.mobile.register(expires=0)
    assert office.notify(office.voicemail).answer.status == 480
    assert office.voicemail.taken == office.desk.taken == office.mobile.taken == []
    office.close()


OWN_AND_OTHERS = [
    ("box7", 200), ("7001", 200), ("BOX7", 200), ("*97", 200), ("box.7", 403), ("box9", 403), ("7009", 403),
    ("BOX9", 403), ("%20box9", 403), ("+7009", 403), ("700-9", 403),
]  # fmt: skip


@pytest.mark.parametrize("caller", ["7009", "Box9", " box9", "box9 "])
def test_a_phone_subscribes_to_nothing_in_the_name_of_another_one(caller):
    """Some servers read the mailbox from From, and overlook the case and blanks."""
    office = Office()
    contact = f"Contact: <sip:7001@{office.desk.address}>"
    question = ask(office.desk, "SUBSCRIBE", "7001", contact, *SUBSCRIPTION, caller=caller, login=office.desk.login)
    assert question.answer.status == 403
    assert office.voicemail.taken == []
    office.close()


@pytest.mark.parametrize(("user", "status"), OWN_AND_OTHERS)
def test_a_phone_subscribes_to_no_mailbox_of_another_one(user, status):
    """Some servers read the mailbox from To."""
    office = Office()
    contact = f"Contact: <sip:7001@{office.desk.address}>"
    question = ask(office.desk, "SUBSCRIBE", user, contact, *SUBSCRIPTION, caller="7001", login=office.desk.login)
    assert question.answer.status == status
    assert len(office.voicemail.taken) == (status == 200)
    office.close()


def test_a_phone_has_so_many_requests_that_wait_and_others_go_on():
    office = Office()
    office.voicemail.status = 0
    waiting = [office.subscribe(office.desk) for _ in range(OPEN_OF_ONE_MAX + 1)]
    office.wire.run_for(1_000)
    assert [each.answer.status for each in waiting if each.responses] == [503]
    assert office.notify(office.voicemail).answer.status == 200
    office.close()
    assert [each.answer.status for each in waiting] == [480] * OPEN_OF_ONE_MAX + [503]


def test_all_types_that_a_subscription_accepts_reach_the_mailbox():
    office = Office()
    assert office.subscribe(office.desk, "Accept: multipart/related", *SUBSCRIPTION).answer.status == 200
    assert office.voicemail.taken[0]["Accept"] == "multipart/related, application/simple-message-summary"
    office.close()


def test_of_a_header_that_may_come_once_the_first_reaches_the_mailbox():
    office = Office()
    assert office.subscribe(office.desk, *SUBSCRIPTION, "Expires: 7200").answer.status == 200
    assert office.voicemail.taken[0].every("Expires") == ["600"]
    office.close()


def test_a_voicemail_gateway_with_all_its_calls_takes_subscriptions():
    office = Office(max_concurrent=0)
    assert office.subscribe(office.desk).answer.status == 200
    office.close()


@pytest.mark.parametrize("rests", [False, True])
def test_a_subscription_goes_to_the_next_address_of_its_gateway_where_one_does_not_take_it(rests):
    addresses = tuple(Address(*each) for each in (VENDORS[0], VENDORS[2]))
    office = Office(addresses=addresses)
    office.voicemail.status, second = 503, MessagingTrunk(office.wire, VENDORS[2], SWITCH)
    if rests:
        place, now = place_of(vendor_gateway(0), addresses[0]), office.exchange.clock.now().mono
        office.exchange.switch.live.breakers.ask_for_rest(place, 60_000, now)
    assert office.subscribe(office.desk).answer.status == 200
    assert [len(each.taken) for each in (office.voicemail, second)] == [not rests, 1]
    assert second.taken[0].start_line == f"SUBSCRIBE sip:box7@{VENDORS[2]} SIP/2.0"
    second.status = 481  # it knows no subscription that the other one took
    assert office.subscribe(office.desk, to_tag="trunk").answer.status == 481
    office.close()


def test_a_voicemail_gateway_that_is_disabled_takes_and_tells_nothing():
    office = Office(enabled=False)
    answer = office.subscribe(office.desk).answer
    assert (answer.status, answer["Retry-After"]) == (503, "60")
    assert office.notify(office.voicemail).answer.status == 481
    office.close()


@pytest.mark.parametrize(
    ("phones", "statuses"),
    [
        ([phone("7001", voicemail="vendor-0", mailbox="box8")], {"box7": 481, "box8": 200, "7001": 200}),
        ([phone("7001")], {"box7": 481, "7001": 481}),
        ([], {"box7": 481, "7001": 481}),
        ([phone("7001", voicemail="vendor-0", mailbox="box7"), phone("7003", voicemail="vendor-0", mailbox="box7")],
         {"box7": 200, "7003": 480}),
    ],
)  # fmt: skip
def test_a_reload_changes_the_mailboxes_of_the_phones_that_differ(phones, statuses):
    office = Office()
    before = office.exchange.switch.catalogue
    others = [each for each in before.phones.values() if each.number != "7001"]
    known = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0), vendor_gateway(1)]
    office.exchange.swap_catalogue(catalogue(known, phones=[*others, *phones]))
    assert {user: office.notify(office.voicemail, user).answer.status for user in statuses} == statuses
    office.exchange.swap_catalogue(before)
    assert office.notify(office.voicemail, "box8").answer.status == 481
    assert office.notify(office.voicemail, "7009").answer.status == 480
    office.close()
