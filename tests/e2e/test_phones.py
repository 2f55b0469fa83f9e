"""SIPp as telephones: registrations come, are renewed, listed, refused and removed; phones call and are called."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from itertools import count
from pathlib import Path

import pytest
from doubles.daemon import Daemon
from doubles.sockets.login import Login
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import ANSWER, OutgoingCall, Peer
from doubles.stream_peer import StreamPeer
from doubles.telephone import Telephone

from vosd.obs.events import Event

from .addresses import DOOMED_TELEPHONE_SWITCH, NETWORK, TELEPHONE_SWITCH, VENDORS
from .conditions import eventually, talk
from .conversation import CHARGED_S
from .stage import CALLER, Caller, Stage, Vendor, configuration, regular

pytestmark = pytest.mark.sipp

_hosts = count(60)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A switch with a handful of telephones."""
    directory: Path = tmp_path_factory.mktemp("phones")
    (directory / "many.yaml").write_text("phones: []\n")
    with Daemon(directory, configuration("phones.yaml", TELEPHONE_SWITCH)) as daemon:
        stage = Stage(daemon, TELEPHONE_SWITCH, Event.GATEWAY_UNREGISTERED)
        for account in ("acme", "family"):
            stage.pay(account, "100")
        yield stage
        stage.expect_books_in_order()
        assert daemon.interrupt() == 0
        stage.expect_clean_log()


@dataclass(frozen=True)
class Phone:
    """A telephone at an address of its own."""

    stage: Stage
    number: str
    at: Endpoint

    @property
    def contact(self) -> str:
        return f"sip:{self.number}@{self.at}"

    def register(self, contact: str = "own", expires: int | None = 60, status: int = 200, expected: str = "") -> None:
        """Say a REGISTER and require its answer; ``expected`` is what stands in it, word for word."""
        written = {"own": f"Contact: <{self.contact}>", "": "X-Nothing: 1"}.get(contact, contact)
        values = {
            "contact": written,
            "expires": "X-Nothing: 2" if expires is None else f"Expires: {expires}",
            "authentication": f"[authentication username={self.number} password=secret]",
            "status": str(status),
            "expected": regular(expected) or "SIP",
        }
        with self.stage.phone("registers", self.number, self.at, values) as sipp:
            sipp.wait()

    def call(self, callee: str):
        """Prepare a call."""
        values = {"caller": self.number, "authentication": f"[authentication username={self.number} password=secret]"}
        return self.stage.phone("calls", callee, self.at, values)

    def takes_a_call(self, caller: str = CALLER):
        """Prepare to be called."""
        return self.stage.phone("answers", self.number, self.at, {"caller": caller}, side="vendor")

    @property
    def rows(self) -> list[dict[str, object]]:
        return registrations(self.stage, self.number)


def registrations(stage: Stage, number: str) -> list[dict[str, object]]:
    return [row for row in stage.daemon.ask("registrations") if row["name"] == number]


@pytest.fixture
def phone(stage):
    def place(number: str) -> Phone:
        return Phone(stage, number, Endpoint(f"{NETWORK}.{next(_hosts)}", 5_060))

    return place


def test_a_phone_registers_refreshes_fetches_and_leaves(stage, phone):
    desk = phone("7001")
    desk.register(expected=f"Contact: <{desk.contact}>;expires=60")
    (row,) = desk.rows
    assert (row["kind"], row["contact"], row["received"], row["transport"]) == (
        "phone", desk.contact, str(desk.at), "udp"
    )  # fmt: skip
    assert (row["state"], row["path"], row["q"], row["user_agent"]) == ("registered", [], 1.0, "SIPp telephone")
    desk.register(expires=120, expected=f"Contact: <{desk.contact}>;expires=120")
    desk.register(contact="", expires=None, expected=f"Contact: <{desk.contact}>;expires=1")
    assert desk.rows[0]["registered_at"] == row["registered_at"]
    desk.register(contact="Contact: *", expires=0)
    assert desk.rows == []
    events = [line["event"] for line in stage.daemon.log() if line.get("name") == "7001"]
    assert events == ["phone_online", "phone_offline"]


def test_a_phone_that_asks_for_too_little_learns_what_would_do(phone):
    desk = phone("7001")
    desk.register(expires=5, status=423, expected="Min-Expires: 60")
    assert desk.rows == []


def test_one_contact_of_two_is_removed(phone):
    desk, other = phone("7003"), phone("7003")
    desk.register()
    other.register()
    desk.register(contact=f"Contact: <{desk.contact}>;expires=0", expected=f"<{other.contact}>")
    assert [row["contact"] for row in desk.rows] == [other.contact]
    other.register(contact="Contact: *", expires=0)


def test_a_trunk_registers_and_is_listed_as_what_it_is(phone):
    trunk = phone("office")
    trunk.register()
    assert [row["kind"] for row in trunk.rows] == ["mapping_gateway"]
    trunk.register(contact="Contact: *", expires=0)


@pytest.mark.parametrize("is_killed", [True, False], ids=["by a kill", "by its peer"])
def test_a_trunk_by_password_whose_connection_is_lost_while_its_call_rings_gets_the_final_response(tmp_path, is_killed):
    """It goes to the port in the Via of the INVITE: the address is no gateway's, but the call has proven itself."""
    (tmp_path / "many.yaml").write_text("phones: []\n")
    with (
        Daemon(tmp_path, configuration("phones.yaml", DOOMED_TELEPHONE_SWITCH)) as daemon,
        StreamPeer(Endpoint(f"{NETWORK}.59", 15_059)) as peer,
        Peer(VENDORS["carrier-a"]) as vendor,
    ):
        stage = Stage(daemon, DOOMED_TELEPHONE_SWITCH)
        stage.pay("acme", "100")
        call = Telephone(peer, DOOMED_TELEPHONE_SWITCH, Login("office", "secret")).call(stage.number("44"))
        invite = vendor.expect("INVITE")
        vendor.reply(invite, 180, tag="vendor")
        peer.expect(180)
        if is_killed:
            daemon.kill()
        peer.hang_up_on(DOOMED_TELEPHONE_SWITCH)
        if is_killed:
            daemon.start()
            vendor.reply(vendor.expect("CANCEL"), 200)
        vendor.reply(invite, 487 if is_killed else 486, tag="vendor")
        vendor.expect("ACK")
        assert peer.final_response("2 INVITE", call.call_id).status == (503 if is_killed else 486)
        call.send(call.request("ACK", 2, branch="proven"))
        stage.expect_nothing_left()


def test_a_customers_call_reaches_a_phone_and_costs_what_its_number_costs(stage, phone):
    desk = phone("7001")
    desk.register()
    before = stage.balance_of("acme")
    with desk.takes_a_call() as called, stage.caller(
        Caller("hangs_up", {"talk_ms": "1200"}), "7001", stage.endpoint_of("acme")
    ) as caller:  # fmt: skip
        caller.wait()
        called.wait()
    record = stage.record_of("7001")
    assert (record["routing_gateway"], record["vendor_account"], record["end_reason"]) == ("7001", None, "Normal")
    assert (record["mapping_gateway"], record["customer_account"]) == ("acme-pbx", "acme")
    assert (record["destination_address"], record["rate_prefix"]) == (str(desk.at), "7")
    assert Decimal(record["fee"]) == Decimal("0.001") * record["billed_seconds"] > 0
    assert record["cost"] == "0.00"
    eventually(lambda: stage.balance_of("acme") == before - Decimal(record["fee"]), "the fee on the account")
    stage.expect_nothing_left()
    desk.register(contact="Contact: *", expires=0)


def test_a_phone_calls_another_and_its_account_pays(stage, phone):
    caller, callee = phone("7001"), phone("7003")
    callee.register()
    with callee.takes_a_call("7001") as called, caller.call("7003") as calling:
        calling.wait()
        called.wait()
    record = stage.record_of("7003")
    assert (record["mapping_gateway"], record["customer_account"], record["caller_in"]) == ("7001", "family", "7001")
    assert (record["routing_gateway"], record["vendor_account"]) == ("7003", None)
    assert Decimal(record["fee"]) > 0
    stage.expect_nothing_left()
    callee.register(contact="Contact: *", expires=0)


def test_three_telephones_of_a_number_ring_together_and_two_are_told_who_has_answered(stage):
    customer = stage.endpoint_of("acme")
    with ExitStack() as running:
        peers = [running.enter_context(Peer(Endpoint(f"{NETWORK}.{next(_hosts)}", 5_060))) for _ in range(3)]
        caller = OutgoingCall(running.enter_context(Peer(customer)), stage.address, "7700")
        for peer, number in zip(peers, ("7004", "7004", "7005"), strict=True):
            Telephone(peer, stage.address, Login(number, "secret")).register()
        asked = ("route", "explain", "--gateway", "acme-pbx", "--caller", "1", "--callee", "7700", "--live")
        reasons = [each["reason"] for each in stage.daemon.ask(*asked)["candidates"]]
        why = "one of the phones of 7700, which rings at once with the others for 20 s, which is registered"
        assert reasons == [why, why]
        caller.invite()
        invites = [peer.expect("INVITE", 20.0) for peer in peers]
        tags = [f"telephone-{peer.address.host}" for peer in peers]
        for peer, invite, tag in zip(peers, invites, tags, strict=True):
            peer.reply(invite, 180, tag=tag)
        (shown,) = eventually(
            lambda: [each for each in stage.daemon.ask("calls") if each["rings_beside"] and each["state"] == "ringing"],
            "three telephones that ring",
        )
        assert sorted([shown["routing_gateway"], *shown["rings_beside"]]) == ["7004", "7004", "7005"]
        peers[1].reply(invites[1], 200, tag=tags[1], body=ANSWER)
        for index in (0, 2):
            cancel = peers[index].expect("CANCEL", 20.0, passing=["INVITE"])
            assert 'SIP;cause=200;text="Call completed elsewhere"' in cancel.every("Reason")
            peers[index].reply(cancel, 200, tag=tags[index])
            peers[index].reply(invites[index], 487, tag=tags[index])
        caller.answered(20.0)
        peers[1].expect("ACK", 20.0, passing=["INVITE"])
        talk(CHARGED_S)
        caller.send(caller.request("BYE", 2))
        peers[1].reply(peers[1].expect("BYE", 20.0, passing=["ACK", "INVITE"]), 200)
        record = stage.record_of("7700")
    assert (record["routing_gateway"], record["did"], record["end_reason"]) == ("7004", "7700", "Normal")
    assert record["destination_address"] == str(peers[1].address)
    assert sorted((row["gateway"], row["reason"]) for row in record["attempts"][:2]) == [
        ("7004", "Answered Elsewhere"), ("7005", "Answered Elsewhere"),
    ]  # fmt: skip
    assert [(row["gateway"], row["code"], row["reason"]) for row in record["attempts"][2:]] == [
        ("7004", 200, "Answered")
    ]
    assert (record["cost"], Decimal(record["fee"]) > 0) == ("0.00", True)
    stage.expect_nothing_left()
    for number in ("7004", "7005"):
        stage.daemon.ask("registrations", "--forget", number)


def test_a_phone_whose_connection_is_gone_is_called_back_where_it_listens(stage, phone):
    with StreamPeer(Endpoint(f"{NETWORK}.{next(_hosts)}", 5_060)) as peer:
        desk = Telephone(peer, stage.address, Login("7003", "secret"))
        desk.register()
        (row,) = registrations(stage, "7003")
        assert (row["transport"], row["received"] != str(peer.address)) == ("tcp", True)
        peer.hang_up_on(stage.address)
        eventually(lambda: registrations(stage, "7003")[0]["received"] == str(peer.address), "its own port")
        with phone("7001").call("7003") as caller:
            call = desk.pick_up()
            assert call.invite.start_line == f"INVITE sip:7003@{peer.contact} SIP/2.0"
            peer.reply(peer.expect("BYE"), 200)
            caller.wait()
        assert [line["event"] for line in stage.daemon.log() if line.get("name") == "7003"][-1] == "phone_online"
    stage.expect_nothing_left()
    stage.daemon.ask("registrations", "--forget", "7003")


def test_a_phone_that_is_connected_from_another_port_than_narrower_hosts_name_is_offline(stage):
    usual = configuration("phones.yaml", TELEPHONE_SWITCH)
    with StreamPeer(Endpoint(f"{NETWORK}.{next(_hosts)}", 5_060)) as peer:
        Telephone(peer, stage.address, Login("7005", "secret")).register()
        assert registrations(stage, "7005")[0]["received"] != str(peer.address)
        desk = '{number: "7005", account: family, password: secret'
        assert desk in usual
        stage.daemon.configure(usual.replace(desk, f'{desk}, hosts: "{peer.address}"'))
        stage.daemon.succeed("reload")
        assert not registrations(stage, "7005")
    stage.daemon.configure(usual)
    stage.daemon.succeed("reload")
    said = [(line["event"], line.get("reason")) for line in stage.daemon.log() if line.get("name") == "7005"]
    assert said[-1] == ("phone_offline", "hosts changed")


def test_a_phone_behind_nat_whose_connection_is_gone_is_offline(stage):
    with StreamPeer(Endpoint(f"{NETWORK}.{next(_hosts)}", 5_060)) as peer:
        desk = Telephone(peer, stage.address, Login("7002", "secret"), place="192.168.1.20:5060;transport=tcp")
        desk.register()
        assert len(registrations(stage, "7002")) == 1
        peer.hang_up_on(stage.address)
        eventually(lambda: not registrations(stage, "7002"), "the phone offline")
    said = [(line["event"], line.get("reason")) for line in stage.daemon.log() if line.get("name") == "7002"]
    assert said[-1] == ("phone_offline", "connection lost")


def test_a_call_to_a_phone_that_is_not_there_ends_with_480_and_a_record(stage):
    refused = Caller("is_refused", {"status": "480", "cause": "18", "reason": "Unavailable"})
    with stage.caller(refused, "7002", stage.endpoint_of("acme")) as caller:
        caller.wait()
    record = stage.record_of("7002")
    assert (record["end_reason"], record["sip_code"], record["hangup_source"]) == ("Unavailable", 480, "switch")
    assert record["attempts"] == []
    explained = stage.daemon.ask(
        "route", "explain", "--gateway", "acme-pbx", "--caller", "1", "--callee", "7002", "--live"
    )
    assert explained["result"] == "Unavailable"
    assert {"routing_gateway": "7002", "reason": "unregistered: the phone is not registered"} in explained["left"]


def test_the_offline_gateway_takes_the_call_until_the_phone_is_there(stage, phone):
    ask = ("route", "explain", "--gateway", "acme-pbx", "--caller", "1", "--callee", "4410", "--live")
    with stage.vendor(Vendor("carrier-a", "answers"), "4410") as vendor, stage.caller(
        Caller("hangs_up"), "4410", stage.endpoint_of("acme")
    ) as caller:  # fmt: skip
        caller.wait()
        vendor.wait()
    assert stage.record_of("4410")["routing_gateway"] == "carrier-a"
    assert [each["routing_gateway"] for each in stage.daemon.ask(*ask)["candidates"]] == ["carrier-a"]
    desk = phone("4410")
    desk.register()
    explained = stage.daemon.ask(*ask)
    assert [each["routing_gateway"] for each in explained["candidates"]] == ["4410", "carrier-a"]
    assert explained["addresses"]["4410"] == [f"{desk.at};transport=udp"]
    desk.register(contact="Contact: *", expires=0)
