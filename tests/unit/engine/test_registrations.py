"""Registrations through the real switch, on virtual time: who may register, reports of changes, expiry."""

from dataclasses import replace
from ipaddress import ip_network

import pytest
from doubles.data.builders import catalogue, credentials, mapping_gateway, phone
from doubles.data.registering import register_bytes, register_request
from doubles.sockets.login import Login
from doubles.sockets.loopback import Endpoint
from doubles.virtual.exchange import Exchange
from doubles.virtual.phone import VirtualPhone
from doubles.virtual.scene import CUSTOMER, vendor_gateway
from structlog.testing import capture_logs

from vosd.base.wheel import TimerWheel
from vosd.catalogue import user_changes
from vosd.catalogue.catalogue import Catalogue, Changes
from vosd.engine.registration import bindings
from vosd.engine.registration.bindings import RegistrantKind
from vosd.routing.identify import SourceIndex
from vosd.sip.digest.hashing import Algorithm
from vosd.sip.digest.settings import DigestSettings
from vosd.sip.flows import Listener
from vosd.sip.settings import RegistrarSettings, SipSettings
from vosd.sip.wire.outgoing import Peer
from vosd.trunks.gateways import HostName

HOME = Endpoint("203.0.113.66", 41_234)
OFFICE = Endpoint("203.0.113.77", 5_070)
TRUNK = mapping_gateway("pbx", account="acme", credentials=credentials("trunk", "secret"))
USERS = ("1001", "1002")
KNOWN = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]


def exchange(*phones, gateways=(), **terms) -> Exchange:
    return Exchange(catalogue([*KNOWN, *gateways], phones=phones or (phone("1001"), phone("1002"))), **terms)


def news(logs) -> list[tuple[str, str, str | None]]:
    """Return the logged changes: name, event, reason."""
    named = ("phone_online", "phone_offline", "gateway_registered", "gateway_unregistered")
    return [(line["event"], line["name"], line.get("reason")) for line in logs if line["event"] in named]


def test_a_phone_is_online_from_its_first_registration_to_its_last_whatever_comes_between():
    switch = exchange()
    home, office = switch.telephone("1001", HOME), switch.telephone("1001", OFFICE)
    with capture_logs() as logs:
        for _ in range(3):
            home.register()
            office.register()
        home.register("*", expires=0)
        home.register()
        home.register(f"<{home.contact}>", expires=0)
        home.register(f"<{office.contact}>", expires=0)
    assert news(logs) == [
        ("phone_online", "1001", None),
        ("phone_offline", "1001", "unregistered"),
        ("phone_online", "1001", None),
        ("phone_offline", "1001", "unregistered"),
    ]
    came = next(line for line in logs if line["event"] == "phone_online")
    assert (came["contact"], came["received"], came["transport"]) == (home.contact, str(HOME), "udp")


def test_a_registration_ends_by_itself_within_a_second_of_its_time():
    switch = exchange()
    switch.telephone("1001", HOME).register(expires=60)
    switch.telephone("1002", OFFICE).register(expires=3_600)
    with capture_logs() as logs:
        switch.wire.run_for(59_000)
        assert news(logs) == []
        switch.wire.run_for(2_000)
    assert news(logs) == [("phone_offline", "1001", "expired")]
    assert (len(switch.registrations), switch.registrations.addresses("1001")) == (1, ())


def test_registrations_that_end_together_are_removed_in_several_turns(monkeypatch):
    """Those that are due are listed once, for there may be 100,000; one that comes back meanwhile stays."""
    monkeypatch.setattr(bindings, "AT_ONCE", 2)
    listed, expire = [], TimerWheel.expire
    numbers = [f"100{each}" for each in range(6)]
    switch = exchange(*map(phone, numbers))
    phones = {each: switch.telephone(each, HOME._replace(port=int(each))) for each in numbers}
    for each in phones.values():
        each.register(expires=60)
    now = switch.clock.now().plus(62_000)
    monkeypatch.setattr(TimerWheel, "expire", lambda wheel, ms: listed.append(ms) or expire(wheel, ms))
    with capture_logs() as logs:
        left = [(switch.registrations.expire(now), len(switch.registrations)) for _ in range(2)]
        back = next(number for number in numbers if switch.registrations.addresses(number))
        phones[back].register(expires=3_600)
        listed_before = len(listed)
        left += [(switch.registrations.expire(now), len(switch.registrations)) for _ in range(2)]
        assert len(listed) == listed_before
    assert left == [(True, 4), (True, 2), (True, 1), (False, 1)]
    assert sorted(name for _, name, why in news(logs) if why) == [each for each in numbers if each != back]
    assert switch.registrations.addresses(back)


def test_registrations_on_one_lost_connection_are_removed_in_several_turns(monkeypatch):
    """A proxy has many users on one connection; who registers again meanwhile stays, from the same port, too."""
    monkeypatch.setattr(bindings, "AT_ONCE", 2)
    numbers = [f"100{each}" for each in range(6)]
    switch, lost = exchange(*map(phone, numbers), listeners=CONNECTED), Peer(1, *HOME)
    for each in numbers:
        register(switch, each, f"sip:{each}@192.168.1.20:5080;transport=tcp", lost)
    with capture_logs() as logs:
        assert switch.registrations.connection_lost(lost)
        assert len(switch.registrations) == 4
        back, elsewhere, *_ = [each for each in numbers if switch.registrations.addresses(each)]
        for each, peer in ((back, lost), (elsewhere, lost._replace(port=9))):
            register(switch, each, f"sip:{each}@192.168.1.20:5080;transport=tcp", peer, cseq=2)
        assert switch.registrations.remove_some()
        assert not switch.registrations.expire(switch.clock.now())
    left = [each for each in numbers if switch.registrations.addresses(each)]
    assert (left, len(switch.registrations)) == ([back, elsewhere], 2)
    assert news(logs) == [("phone_offline", each, "connection lost") for each in numbers if each not in left]


@pytest.mark.parametrize("others", [[], [phone("1001", password="other")]], ids=["removed", "other credentials"])
def test_a_registration_that_a_reload_ends_does_not_stay_because_its_connection_was_lost_before(others):
    switch, lost = exchange(phone("1001"), listeners=CONNECTED), Peer(1, *HOME)
    register(switch, "1001", f"sip:1001@{HOME.host}:5080;transport=tcp", lost)
    switch.registrations.note_lost(lost)
    switch.swap_catalogue(catalogue(KNOWN, phones=others))
    assert (switch.registrations.addresses("1001"), len(switch.registrations)) == ((), 0)


@pytest.mark.parametrize("why", ["removed", "other credentials", "other hosts"])
def test_registrations_of_many_users_that_a_reload_ends_are_removed_in_several_turns(why, monkeypatch):
    monkeypatch.setattr(bindings, "AT_ONCE", 2)
    numbers = [f"100{each}" for each in range(6)]
    switch = exchange(*map(phone, numbers))
    for each in numbers:
        register(switch, each, f"sip:{each}@{HOME.host}", Peer(0, *HOME))
    others = {"removed": [], "other credentials": [phone(each, password="other") for each in numbers]}
    wanted = others.get(why, [phone(each, f"{OFFICE.host}/32") for each in numbers])
    with capture_logs() as logs:
        switch.swap_catalogue(catalogue(KNOWN, phones=wanted))
        assert len(switch.registrations) == 4
        back = numbers[-1]
        register(switch, back, f"sip:{back}@{OFFICE.host}", Peer(0, *OFFICE))
        left = [(switch.registrations.remove_some(), len(switch.registrations)) for _ in range(2)]
    assert (left, [each.host for each in switch.registrations.addresses(back)]) == (
        [(True, 2), (True, 1)], [OFFICE.host]
    )  # fmt: skip
    assert not switch.registrations.remove_some()
    assert sorted(name for event, name, _ in news(logs) if event == "phone_offline") == numbers


@pytest.mark.parametrize(
    ("others", "status"),
    [
        ([phone("4403", password="other")], 480),
        ([phone("4403", f"{OFFICE.host}/32")], 480),
        ([phone("4403", account="globex", password="other")], 480),
        ([], 402),
        ([phone("4404")], 402),
    ],
    ids=["other credentials", "other hosts", "another account", "removed", "renamed"],
)
def test_between_two_turns_no_call_reaches_a_device_whose_registration_a_reload_ends(others, status, monkeypatch):
    """The number of a removed one may be that of a new phone, or go to a vendor; a thief may have the old password."""
    monkeypatch.setattr(bindings, "AT_ONCE", 1)
    numbers = ["4401", "4402", "4403"]
    switch = exchange(*map(phone, numbers))
    devices = [switch.telephone(each, HOME._replace(port=int(each))) for each in numbers]
    for each in devices:
        each.register()
    switch.swap_catalogue(catalogue(KNOWN, phones=[*(phone(each, password="other") for each in numbers[:2]), *others]))
    assert [each.name for each in switch.registrations.listed()] == ["4402", "4403"]
    call = switch.caller(CUSTOMER).call("4403")
    switch.wire.run_until(lambda: call.final is not None)
    assert (call.final, [each.calls for each in devices]) == (status, [[], [], []])


def test_between_two_turns_a_device_with_the_new_password_registers_and_stays(monkeypatch):
    monkeypatch.setattr(bindings, "AT_ONCE", 1)
    numbers = ["1001", "1002", "1003"]
    switch = exchange(*map(phone, numbers))
    devices = [switch.telephone(each, HOME._replace(port=int(each))) for each in numbers]
    for each in devices:
        each.register()
    switch.swap_catalogue(catalogue(KNOWN, phones=[phone(each, password="other") for each in numbers]))
    assert [each.name for each in switch.registrations.listed()] == ["1002", "1003"]
    replacement = VirtualPhone(switch.wire, OFFICE, Endpoint("192.0.2.1", 5_060), Login("1003", "other"))
    assert replacement.register().status == 200
    assert devices[2].register().status == 401
    while switch.registrations.remove_some():
        pass
    assert [(each.name, each.binding.contact) for each in switch.registrations.listed()] == [
        ("1003", replacement.contact)
    ]


def test_a_second_reload_before_the_turns_of_the_first_ends_what_either_ends(monkeypatch):
    monkeypatch.setattr(bindings, "AT_ONCE", 1)
    numbers = ["1001", "1002", "1003"]
    switch = exchange(*map(phone, numbers))
    for each in numbers:
        register(switch, each, f"sip:{each}@{HOME.host}", Peer(0, *HOME))
    switch.swap_catalogue(catalogue(KNOWN, phones=[phone(each, password="other") for each in numbers]))
    switch.swap_catalogue(catalogue(KNOWN, phones=[phone("1001", password="other"), *map(phone, numbers[1:])]))
    assert [switch.registrations.addresses(each) for each in numbers] == [(), (), ()]
    register(switch, "1003", f"sip:1003@{OFFICE.host}", Peer(0, *OFFICE))
    while switch.registrations.remove_some():
        pass
    assert [each.name for each in switch.registrations.listed()] == ["1003"]


def test_a_refresh_keeps_what_would_have_ended():
    switch = exchange()
    desk = switch.telephone("1001", HOME)
    with capture_logs() as logs:
        for _ in range(20):
            desk.register(expires=60)
            switch.wire.run_for(50_000)
    assert news(logs) == [("phone_online", "1001", None)]


def test_a_shorter_time_than_before_is_kept_too():
    switch = exchange()
    desk = switch.telephone("1001", HOME)
    desk.register(expires=3_600)
    desk.register(expires=60)
    switch.wire.run_for(62_000)
    assert len(switch.registrations) == 0


def test_one_binding_of_two_ends_and_the_phone_stays_online():
    switch = exchange()
    switch.telephone("1001", HOME).register(expires=60)
    switch.telephone("1001", OFFICE).register(expires=120)
    with capture_logs() as logs:
        switch.wire.run_for(62_000)
        assert [address.host for address in switch.registrations.addresses("1001")] == [OFFICE.host]
        assert news(logs) == []
        switch.wire.run_for(60_000)
    assert news(logs) == [("phone_offline", "1001", "expired")]


def test_a_trunk_registers_as_its_user_or_by_its_name():
    switch = exchange(gateways=[TRUNK])
    desk = VirtualPhone(switch.wire, HOME, Endpoint("192.0.2.1", 5_060), Login("trunk", "secret"))
    with capture_logs() as logs:
        assert desk.register().status == 200
        assert desk.register(to="pbx").status == 200
        assert desk.register("*", expires=0).status == 200
    assert news(logs) == [("gateway_registered", "pbx", None), ("gateway_unregistered", "pbx", "unregistered")]


def test_a_trunk_that_was_gone_before_the_start_is_reported_once_more_unless_it_is_there():
    switch = exchange(
        gateways=[TRUNK, mapping_gateway("other", account="acme", credentials=credentials("b", "secret"))]
    )
    VirtualPhone(switch.wire, HOME, Endpoint("192.0.2.1", 5_060), Login("b", "secret")).register()
    with capture_logs() as logs:
        for _ in range(2):
            switch.node.registrar.report_absent(["pbx", "other", "no longer configured"])
    assert news(logs) == [("gateway_unregistered", "pbx", "ended before the switch was started")]
    assert set(switch.registrations.departed()) == {"pbx"}
    VirtualPhone(switch.wire, OFFICE, Endpoint("192.0.2.1", 5_060), Login("trunk", "secret")).register()
    assert set(switch.registrations.departed()) == set()


def test_a_user_registers_only_itself():
    """RFC 3261 section 10.3, step 4."""
    switch = exchange()
    desk = switch.telephone("1001", HOME)
    assert desk.register(to="1002").status == 403
    assert len(switch.registrations) == 0


def test_an_address_of_no_user_is_not_found():
    """RFC 3261 section 10.3, step 5."""
    switch = exchange()
    desk = switch.telephone("1001", HOME)
    assert desk.register(to="").status == 404


def test_without_users_register_is_not_allowed():
    switch = Exchange(catalogue(KNOWN))
    desk = switch.telephone("1001", CUSTOMER)
    answer = desk.register()
    assert (answer.status, "REGISTER" in answer["Allow"]) == (405, False)


def test_online_phones_are_counted_for_any_addresses_and_end():
    switch = exchange(gateways=[TRUNK])
    counted = []
    for number, place, lifetime in (
        ("1001", HOME, 60),
        ("1001", OFFICE, 90),
        ("1002", OFFICE, 120),
        ("trunk", HOME, 60),
    ):
        switch.telephone(number, place).register(expires=lifetime)
        counted.append(switch.registrations.census()["phones_online"])
    for _ in range(4):
        switch.wire.run_for(31_000)
        counted.append(switch.registrations.census()["phones_online"])
    assert counted == [1, 1, 2, 2, 2, 2, 1, 0]


def test_a_known_address_is_no_user():
    switch = exchange()
    desk = switch.telephone("1001", CUSTOMER)
    desk.send(register_bytes("<sip:1001@h>", via=str(CUSTOMER)).decode())
    switch.wire.run_for(1_000)
    assert [message.status for message in desk.heard] in ([401], [403])
    assert len(switch.registrations) == 0


def test_what_cannot_be_read_gets_400_and_changes_nothing():
    switch = exchange()
    desk = switch.telephone("1001", HOME)
    desk.register()
    assert desk.register("<tel:123>").status == 400
    assert desk.register("*").status == 400
    assert len(switch.registrations) == 1


def test_too_brief_gets_423_and_a_fetch_lists_what_there_is():
    switch = exchange()
    desk = switch.telephone("1001", HOME)
    answer = desk.register(expires=30)
    assert (answer.status, answer["Min-Expires"]) == (423, "60")
    desk.register()
    switch.wire.run_for(10_000)
    assert desk.fetch() == [f"<{desk.contact}>;expires=3589"]


def test_an_extension_that_we_do_not_have_gets_420():
    switch = exchange()
    answer = switch.telephone("1001", HOME).register(headers=["Require: gruu, path"])
    assert (answer.status, answer["Unsupported"]) == (420, "gruu")


def test_more_than_there_may_be_gets_503_but_what_is_there_goes_on():
    switch = exchange(sip=SipSettings(registrar=RegistrarSettings(max_bindings=1)))
    first, second = switch.telephone("1001", HOME), switch.telephone("1002", OFFICE)
    assert first.register().status == 200
    assert second.register().status == 503
    assert first.register().status == 200
    assert first.register("*", expires=0).status == 200
    assert second.register().status == 200


def test_registrations_of_some_users_are_listed_by_their_names():
    switch = exchange()
    for number, place in (("1001", HOME), ("1001", OFFICE), ("1002", HOME)):
        switch.telephone(number, place).register()
    listed = [each.name for each in switch.registrations.listed(["1001", "1003"])]
    assert listed == ["1001", "1001"]
    assert [each.name for each in switch.registrations.listed()] == ["1001", "1001", "1002"]


def test_a_reload_removes_users_that_are_no_longer_configured():
    switch = exchange(phone("1001"), phone("1002"), phone("1003"), gateways=[TRUNK])
    for number in ("1001", "1002", "1003"):
        switch.telephone(number, HOME._replace(port=HOME.port + int(number))).register()
    with capture_logs() as logs:
        switch.swap_catalogue(catalogue(KNOWN, phones=[phone("1001"), phone("1003", enabled=False)]))
    assert news(logs) == [("phone_offline", name, "no longer configured") for name in ("1002", "1003")]
    assert [each.name for each in switch.registrations.listed()] == ["1001"]


def test_a_reload_by_difference_removes_trunks_that_are_gone_or_have_another_password():
    trunks = [mapping_gateway(name, account="acme", credentials=credentials(name, "secret")) for name in "abcd"]
    first = catalogue([*KNOWN, *trunks], phones=[phone("1001")])
    switch = Exchange(first)
    for number, name in enumerate("abcd"):
        place = HOME._replace(port=HOME.port + number)
        VirtualPhone(switch.wire, place, Endpoint("192.0.2.1", 5_060), Login(name, "secret")).register()
    others = [mapping_gateway("b", account="acme", credentials=credentials("b", "other")), trunks[2]]
    disabled = mapping_gateway("d", account="acme", enabled=False, credentials=credentials("d", "secret"))
    second = catalogue([*KNOWN, *others, disabled], phones=[phone("1001")])
    with capture_logs() as logs:
        switch.swap_catalogue(replace(second, changes=Changes(first.version, frozenset(), frozenset("abd"))))
    assert sorted(news(logs)) == [
        ("gateway_unregistered", "a", "no longer configured"),
        ("gateway_unregistered", "b", "password or user name changed"),
        ("gateway_unregistered", "d", "no longer configured"),
    ]
    assert [each.name for each in switch.registrations.listed()] == ["c"]


@pytest.mark.parametrize(
    ("before", "after", "left"),
    [
        ((), (f"{OFFICE.host}/32",), [OFFICE.port]),
        ((f"{HOME.host}/32", f"{OFFICE.host}/32"), (f"{OFFICE.host}/32",), [OFFICE.port]),
        ((), ("192.0.2.0/24",), []),
        ((f"{HOME.host}/32", f"{OFFICE.host}/32"), (), [HOME.port, OFFICE.port]),
        ((), ("203.0.113.0/24",), [HOME.port, OFFICE.port]),
    ],
)
def test_narrower_hosts_end_what_is_registered_from_elsewhere(before, after, left):
    """A REGISTER from there would be refused; until its binding expired, the phone went on getting calls there."""
    switch = exchange(phone("1001", *before))
    for place in (HOME, OFFICE):
        switch.telephone("1001", place, contact=f"sip:1001@{place}").register()
    with capture_logs() as logs:
        switch.swap_catalogue(catalogue(KNOWN, phones=[phone("1001", *after)]))
    assert sorted(each.port for each in switch.registrations.addresses("1001")) == sorted(left)
    assert news(logs) == ([] if left else [("phone_offline", "1001", "hosts changed")])


def test_a_name_that_hosts_lose_ends_what_is_registered_from_its_address():
    def trunk(*names: HostName) -> Catalogue:
        host = f"{HOME.host}/32"
        pbx = mapping_gateway("pbx", host, account="acme", named_hosts=names, credentials=credentials("pbx", "secret"))
        return catalogue([*KNOWN, pbx])

    named = trunk(HostName("pbx.example", None))
    located = named.sources.located(lambda _name: [OFFICE.host], SourceIndex(()))
    switch = Exchange(replace(named, sources=located))
    for place in (HOME, OFFICE):
        VirtualPhone(switch.wire, place, Endpoint("192.0.2.1", 5_060), Login("pbx", "secret")).register()
    assert [each.host for each in switch.registrations.addresses("pbx")] == [OFFICE.host, HOME.host]
    switch.swap_catalogue(trunk())
    assert [each.host for each in switch.registrations.addresses("pbx")] == [HOME.host]


def country_of(host: str) -> str:
    return "GB" if host == HOME.host else "FR"


NARROWED = [{"hosts": (f"{HOME.host}/32",)}, {"countries": frozenset({"GB"})}]


@pytest.mark.parametrize("terms", NARROWED, ids=["hosts", "countries"])
async def test_a_start_does_not_restore_what_hosts_or_countries_of_the_configuration_exclude(terms):
    before = exchange(phone("1001"), phone("1002"))
    for number, place in (("1001", HOME), ("1001", OFFICE), ("1002", OFFICE)):
        before.telephone(number, place, contact=f"sip:{number}@{place}").register()
    await before.node.registration_writer.flush()
    desks = [phone(number, *terms.get("hosts", ()), countries=terms.get("countries", frozenset())) for number in USERS]
    after = exchange(*desks, country_of=country_of)
    await after.registered.save(await before.registered.load(), ())
    with capture_logs() as logs:
        await after.node.registrar.restore(after.switch.catalogue)
    assert [each.port for each in after.registrations.addresses("1001")] == [HOME.port]
    assert not after.registrations.addresses("1002")
    assert news(logs) == [("phone_offline", "1002", "ended while the switch was down")]
    await after.node.registration_writer.flush()
    assert {(row.name, row.host) for row in await after.registered.load()} == {("1001", HOME.host)}


@pytest.mark.parametrize("terms", NARROWED, ids=["hosts", "countries"])
async def test_a_start_by_the_copy_restores_no_removed_user_and_nothing_from_where_a_user_may_not_be(terms):
    before = exchange(phone("1001"), phone("1002"))
    for number, place in (("1001", HOME), ("1001", OFFICE), ("1002", HOME)):
        before.telephone(number, place, contact=f"sip:{number}@{place}").register()
    await before.node.registration_writer.flush()
    desk = phone("1001", *terms.get("hosts", ()), countries=terms.get("countries", frozenset()))
    after = exchange(desk, country_of=country_of)
    await after.registered.save(await before.registered.load(), ())
    await after.node.registrar.restore_copy(after.switch.catalogue)
    assert [each.port for each in after.registrations.addresses("1001")] == [HOME.port]
    assert not after.registrations.addresses("1002")


@pytest.mark.parametrize("by_copy", [False, True])
async def test_a_start_restores_over_tcp_what_came_from_the_port_that_hosts_name(by_copy):
    """The connection is gone, and the binding has the port of the Contact from then on."""
    bound = phone("1001", f"{HOME.host}/32@{HOME.port}")
    before, after = exchange(bound, listeners=CONNECTED), exchange(bound, listeners=CONNECTED)
    register(before, "1001", f"sip:1001@{HOME.host}:5080;transport=tcp", Peer(1, *HOME))
    await before.node.registration_writer.flush()
    await after.registered.save(await before.registered.load(), ())
    if by_copy:
        await after.node.registrar.restore_copy(after.switch.catalogue)
        await after.node.registrar.catch_up()
    else:
        await after.node.registrar.restore(after.switch.catalogue)
    assert [each.port for each in after.registrations.addresses("1001")] == [5_080]
    await after.node.registration_writer.flush()
    assert [row.name for row in await after.registered.load()] == ["1001"]


@pytest.mark.parametrize("has_started", [False, True])
async def test_wider_hosts_keep_over_tcp_what_came_from_the_port_that_they_name(has_started):
    """The connection is gone; the switch may have opened one to the Contact."""
    bound = phone("1001", f"{HOME.host}/32@{HOME.port}")
    before = switch = exchange(bound, listeners=CONNECTED)
    register(before, "1001", f"sip:1001@{HOME.host}:5080;transport=tcp", Peer(1, *HOME))
    if has_started:
        await before.node.registration_writer.flush()
        switch = exchange(bound, listeners=CONNECTED)
        await switch.registered.save(await before.registered.load(), ())
        await switch.node.registrar.restore(switch.switch.catalogue)
    else:
        switch.registrations.connection_lost(Peer(1, *HOME))
    wider = phone("1001", f"{HOME.host}/32@{HOME.port}", "198.51.100.0/24")
    with capture_logs() as logs:
        switch.swap_catalogue(catalogue(KNOWN, phones=[wider]))
    assert [each.port for each in switch.registrations.addresses("1001")] == [5_080]
    assert news(logs) == []


@pytest.mark.parametrize("apart", [10, 0], ids=["another Contact", "its own port as its Contact"])
def test_narrower_hosts_end_what_is_connected_from_another_port(apart):
    switch = exchange(listeners=CONNECTED)
    for port in (HOME.port, HOME.port + 1):
        register(switch, "1001", f"sip:1001@{HOME.host}:{port + apart};transport=tcp", Peer(1, HOME.host, port))
    switch.registrations.has_accepted = lambda _peer: True
    switch.swap_catalogue(catalogue(KNOWN, phones=[phone("1001", f"{HOME.host}/32@{HOME.port}")]))
    assert [each.port for each in switch.registrations.addresses("1001")] == [HOME.port]


async def test_a_start_restores_nothing_over_udp_from_another_port_than_hosts_name():
    before = exchange()
    register(before, "1001", f"sip:1001@{HOME}", Peer(0, HOME.host, HOME.port + 1))
    await before.node.registration_writer.flush()
    after = exchange(phone("1001", f"{HOME.host}/32@{HOME.port}"))
    await after.registered.save(await before.registered.load(), ())
    await after.node.registrar.restore(after.switch.catalogue)
    assert not after.registrations.addresses("1001")


@pytest.mark.parametrize(
    "end",
    [
        lambda switch: switch.swap_catalogue(catalogue(KNOWN, phones=[phone("1001", *NARROWED[0]["hosts"])])),
        lambda switch: switch.swap_catalogue(catalogue(KNOWN, phones=[phone("1001", countries=frozenset({"GB"}))])),
        lambda switch: switch.swap_catalogue(catalogue(KNOWN, phones=[phone("1001", password="other")])),
        lambda switch: switch.registrations.forget("1001"),
    ],
    ids=["hosts", "countries", "password", "operator"],
)
@pytest.mark.parametrize("is_in_the_copy", [True, False])
async def test_what_has_ended_after_a_start_by_the_copy_stays_ended_when_the_database_is_read(end, is_in_the_copy):
    before = exchange(phone("1001"))
    before.telephone("1001", OFFICE).register()
    await before.node.registration_writer.flush()
    after, rows = exchange(phone("1001"), country_of=country_of), await before.registered.load()
    await after.registered.save(rows if is_in_the_copy else (), ())
    await after.node.registrar.restore_copy(after.switch.catalogue)
    await after.registered.save(rows, ())  # the database has it in any case
    end(after)
    assert not after.registrations.addresses("1001")
    await after.node.registrar.catch_up()
    await after.node.registration_writer.flush()
    assert not after.registrations.addresses("1001")
    assert list(await after.registered.load()) == []


@pytest.mark.parametrize("proof", [{"password": "other"}, {"credentials": credentials("desk", "secret")}])
def test_a_changed_password_or_user_name_ends_what_was_registered_with_the_old_one(proof):
    switch = exchange(phone("1001"), phone("1002"))
    for number, place in (("1001", HOME), ("1002", OFFICE)):
        switch.telephone(number, place).register()
    with capture_logs() as logs:
        switch.swap_catalogue(catalogue(KNOWN, phones=[phone("1001", **proof), phone("1002", max_concurrent=1)]))
    assert news(logs) == [("phone_offline", "1001", "password or user name changed")]
    assert [each.name for each in switch.registrations.listed()] == ["1002"]


@pytest.mark.parametrize(
    "digest",
    [DigestSettings("elsewhere.example"), DigestSettings(algorithms=(Algorithm.SHA_256, Algorithm.MD5))],
    ids=["realm", "algorithms"],
)
def test_the_same_password_in_another_realm_or_hash_leaves_phones_where_they_are(digest):
    switch = exchange(phone("1001"))
    switch.telephone("1001", HOME).register()
    switch.swap_catalogue(catalogue(KNOWN, phones=[phone("1001", digest=digest)], digest=digest))
    assert len(switch.registrations) == 1
    switch.swap_catalogue(catalogue(KNOWN, phones=[phone("1001", password="other", digest=digest)], digest=digest))
    assert len(switch.registrations) == 0


def test_addresses_are_known_and_listed_once_in_the_order_first_seen():
    switch = exchange()
    for number, place in (("1001", HOME), ("1002", OFFICE), ("1001", OFFICE)):
        switch.telephone(number, place).register()
    assert switch.registrations.peers() == (Peer(0, *HOME), Peer(0, *OFFICE))
    assert switch.registrations.knows(*HOME)
    assert not switch.registrations.knows(HOME.host, HOME.port + 1)
    switch.telephone("1002", OFFICE).register("*", expires=0)
    assert switch.registrations.peers() == (Peer(0, *HOME), Peer(0, *OFFICE))
    switch.telephone("1001", HOME).register("*", expires=0)
    assert (switch.registrations.peers(), switch.registrations.knows(*OFFICE)) == ((), False)


def test_a_reload_compares_only_the_users_that_have_changed(monkeypatch):
    """One phone more among 50,000 stopped the event loop for 0.3 s."""
    phones, compared = [phone(number, password="secret") for number in ("1001", "1002", "1003")], []
    switch = exchange(*phones)
    register(switch, "1002", "sip:1002@h", Peer(0, *HOME))
    monkeypatch.setattr(user_changes, "_proves_as", lambda before, _now: compared.append(before.name) is not None)
    phones[1:] = [phone("1002", password="other"), phones[2], phone("1004")]
    switch.swap_catalogue(catalogue(KNOWN, phones=phones))
    assert compared == ["1002"]
    assert switch.registrations.names() == set()


CONNECTED = (Listener("192.0.2.1", 5_060), Listener("192.0.2.1", 5_060, "tcp"))


@pytest.mark.parametrize(
    ("contact", "left"),
    [("sip:1001@203.0.113.66:5080;transport=tcp", [5_080]), ("sip:1001@203.0.113.66;transport=tcp", [5_060]),
     ("sip:1001@192.168.1.20:5080;transport=tcp", []), ("sip:1001@phone.invalid;transport=tcp", [])],
)  # fmt: skip
def test_who_was_reached_by_a_lost_connection_is_called_back_at_its_contact_or_is_offline(contact, left):
    switch = exchange(listeners=CONNECTED)
    connection = Peer(1, *HOME)
    register(switch, "1001", contact, connection)
    register(switch, "1002", "sip:1002@203.0.113.66:9", connection._replace(port=9))
    with capture_logs() as logs:
        switch.registrations.connection_lost(connection)
        switch.registrations.connection_lost(connection)
    assert [address.port for address in switch.registrations.addresses("1001")] == left
    assert news(logs) == ([] if left else [("phone_offline", "1001", "connection lost")])
    assert len(switch.registrations) == 1 + len(left)


def test_a_flow_that_fails_ends_its_binding_alone_even_where_its_contact_accepts_connections():
    """RFC 5626 5.3: a device with reg-ids opens each flow anew, and is called over the ones that are left."""
    switch = exchange(listeners=CONNECTED)
    flows = [Peer(1, HOME.host, 41_000 + number) for number in (1, 2)]
    for number, flow in enumerate(flows, start=1):
        contact = f'<sip:1001@{HOME.host}:508{number};transport=tcp>;reg-id={number};+sip.instance="<urn:uuid:7>"'
        request = register_request(contact, call_id=f"flow-{number}")
        switch.registrations.register("1001", RegistrantKind.PHONE, request, flow, switch.clock.now())
    assert [address.port for address in switch.registrations.addresses("1001")] == [41_001, 41_002]
    switch.registrations.connection_lost(flows[1])
    assert [address.port for address in switch.registrations.addresses("1001")] == [41_001]
    switch.registrations.connection_lost(flows[0])
    assert not switch.registrations.addresses("1001")


@pytest.mark.parametrize(
    ("path", "left"),
    [
        (f"<sip:{HOME.host}:5070;transport=tcp;lr>", [(HOME.host, 5_070)]),
        (f"<sip:{HOME.host};lr>, <sip:10.0.0.1;lr>", [(HOME.host, 5_060)]),
        ("<sip:edge.example;lr>", [(HOME.host, 5_080)]),
        (f"<sip:{OFFICE};transport=tcp;lr>", [OFFICE]),
        ("<sip:192.0.2.99;lr>", []),
        ("<sip:unknown.example;lr>", []),
    ],
)
@pytest.mark.parametrize("device", ["", ';reg-id=1;+sip.instance="<urn:uuid:7>"'])
def test_a_phone_behind_a_proxy_is_reached_by_its_path_whatever_becomes_of_the_connection(path, left, device):
    """RFC 3327 section 5.3: the private Contact says nothing about the way to it."""
    proxies = (ip_network(f"{HOME.host}/32"), ip_network(f"{OFFICE.host}/32"))
    switch = exchange(
        listeners=CONNECTED,
        sip=SipSettings(registrar=RegistrarSettings(proxies=proxies)),
        locate=lambda hop, _: hop._replace(host=HOME.host, port=5_080) if hop.host == "edge.example" else None,
    )
    connection = Peer(1, *HOME)
    contact = f"<sip:1001@192.168.1.20:5060>{device}"
    request = register_request(contact, headers=[f"Path: {path}"])
    switch.registrations.register("1001", RegistrantKind.PHONE, request, connection, switch.clock.now())
    for _ in range(2):
        switch.registrations.connection_lost(connection)
        assert [(each.host, each.port) for each in switch.registrations.addresses("1001")] == left
        assert {each.transport for each in switch.registrations.addresses("1001")} <= {"tcp"}


def test_several_users_are_registered_over_one_connection_and_lost_with_it():
    switch = exchange(listeners=CONNECTED)
    connection = Peer(1, *HOME)
    for name in ("1001", "1002", "1003"):
        register(switch, name, f"sip:{name}@192.168.1.20:5060;transport=tcp", connection)
    register(switch, "1004", "sip:1004@192.168.1.20:5060;transport=tcp", connection._replace(port=9))
    assert {address.port for name in ("1001", "1002", "1003") for address in switch.registrations.addresses(name)} == {
        connection.port
    }
    switch.registrations.connection_lost(connection)
    assert [len(switch.registrations.addresses(name)) for name in ("1001", "1002", "1003", "1004")] == [0, 0, 0, 1]


def test_a_register_that_is_judged_after_its_connection_has_closed_leaves_no_one_online():
    """A server of RADIUS takes its time, and a queued message is processed after the end of its connection."""
    switch = exchange(listeners=CONNECTED)
    switch.registrations.has_connection = lambda peer: peer.port == 9
    with capture_logs() as logs:
        register(switch, "1001", "sip:1001@192.168.1.20:5060;transport=tcp", Peer(1, *HOME))
        register(switch, "1002", f"sip:1002@{HOME.host}:5080;transport=tcp", Peer(1, *HOME))
        register(switch, "1003", "sip:1003@192.168.1.20:5060;transport=tcp", Peer(1, HOME.host, 9))
        register(switch, "1004", "sip:1004@192.168.1.20:5060", Peer(0, *HOME))
    names = ("1001", "1002", "1003", "1004")
    ports = [[each.port for each in switch.registrations.addresses(name)] for name in names]
    assert ports == [[], [5_080], [9], [HOME.port]]
    assert news(logs)[:2] == [("phone_online", "1001", None), ("phone_offline", "1001", "connection lost")]


def test_a_datagram_socket_loses_no_binding():
    switch = exchange(listeners=CONNECTED)
    register(switch, "1001", "sip:1001@h", Peer(0, *HOME))
    switch.registrations.connection_lost(Peer(0, *HOME))
    assert len(switch.registrations) == 1


def register(switch: Exchange, name: str, contact: str, source: Peer, **parts) -> None:
    request = register_request(f"<{contact}>", call_id=f"{name}-{contact}", **parts)
    switch.registrations.register(name, RegistrantKind.PHONE, request, source, switch.clock.now())
