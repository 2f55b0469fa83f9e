"""Networks, countries and programs that may not call, against the real daemon."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from doubles.countries import write_countries
from doubles.daemon import Daemon
from doubles.sockets.login import Login, answer_to
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import OutgoingCall, Peer, compose

from vosd.obs.events import Event

from .addresses import CUSTOMERS, FENCED_SWITCH, PHONES, VENDORS
from .conditions import eventually
from .stage import Stage, configuration

USUAL = configuration("access.yaml", FENCED_SWITCH)
COUNTRIES = {PHONES["desk"]: "DE", PHONES["office"]: "FR", CUSTOMERS["poor"]: "KP"}
LOGIN = Login("7001", "a long secret of the family")
YEALINK = "User-Agent: Yealink SIP-T46U"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    directory: Path = tmp_path_factory.mktemp("fenced")
    write_places(directory, COUNTRIES)
    with Daemon(directory, f"{USUAL}\naccess: {{database: countries.mmdb}}\n") as daemon:
        stage = Stage(daemon, FENCED_SWITCH)
        for account in ("acme", "family"):
            stage.pay(account, "100")
        yield stage
        stage.expect_timers_run_out()
        stage.expect_books_in_order()
        assert daemon.interrupt() == 0
        stage.expect_clean_log()


def write_places(directory: Path, countries: Mapping[str, str]) -> None:
    write_countries(directory / "countries.mmdb", {f"{host}/32": code for host, code in countries.items()})


@contextmanager
def access(stage: Stage, rules: str) -> Iterator[None]:
    """Put rules in force, and take them back."""
    stage.daemon.configure(f"{USUAL}\naccess: {{database: countries.mmdb{rules}}}\n")
    stage.daemon.succeed("reload")
    yield
    stage.daemon.configure(f"{USUAL}\naccess: {{database: countries.mmdb}}\n")
    stage.daemon.succeed("reload")


def register(peer: Peer, name: str, *headers: str) -> str:
    return compose(
        [
            f"REGISTER sip:{FENCED_SWITCH} SIP/2.0",
            f"Via: SIP/2.0/UDP {peer.address};rport;branch=z9hG4bK-{name}",
            f"From: <sip:7001@{peer.address.host}>;tag={name}",
            f"To: <sip:7001@{FENCED_SWITCH}>",
            f"Call-ID: {name}",
            "CSeq: 1 REGISTER",
            f"Contact: <sip:7001@{peer.address}>",
            "Max-Forwards: 70",
            *headers,
        ]
    )


def hears_nothing(stage: Stage, peer: Peer, request: str) -> bool:
    """Send a request twice and then one that is answered; return whether the first ones were not.

    A switch processes what comes from all sources in the order in which it is read.
    """
    with Peer(Endpoint(CUSTOMERS["acme"], 5_061)) as other:
        for _ in range(2):
            peer.send(request, stage.address)
        request = register(other, f"other-{other.address.port}-{id(request)}")
        other.ask(request, stage.address, "1 REGISTER", request.partition("Call-ID: ")[2].partition("\r\n")[0])
    return peer.receive(0.2) is None


def test_a_denied_network_gets_no_answer_while_its_call_goes_on(stage: Stage) -> None:
    with Peer(stage.endpoint_of("acme")) as customer, Peer(VENDORS["carrier-a"]) as vendor:
        call = OutgoingCall(customer, stage.address, stage.number("44"))
        call.invite()
        invite = vendor.expect("INVITE")
        vendor.reply(invite, 200, tag="vendor", headers=["Content-Type: application/sdp"], body=invite.body)
        call.answered()
        vendor.expect("ACK", passing=["INVITE"])
        with access(stage, f", deny: {customer.address.host}"), stage.expecting(Event.SOURCE_DENIED):
            refused = OutgoingCall(customer, stage.address, stage.number("44"))
            refused.invite()
            eventually(lambda: "source_denied" in [line.get("event") for line in stage.daemon.log()], "the warning")
            info = call.request("OPTIONS", 2)
            assert customer.ask(info, stage.address, "2 OPTIONS", call.call_id).status == 200
            assert call.hang_up(3).status == 200
            vendor.reply(vendor.expect("BYE"), 200)
            stage.expect_nothing_left()
            assert stage.record_of(call.callee)["end_reason"] == "Normal"
            assert stage.daemon.ask("cdr", "list", "--callee", refused.callee) == []
            (line,) = [line for line in stage.daemon.log() if line.get("event") == "source_denied"]
            assert (line["source"], line["gateways"]) == (customer.address.host, ["acme-pbx"])
            assert line["why"] == f"access.deny has {customer.address.host}/32"
            explained = stage.daemon.ask(
                "route", "explain", "--gateway", "acme-pbx", "--caller", "1", "--callee", "4420",
                "--source", customer.address.host,
            )  # fmt: skip
            assert explained["result"] == "Geofence Blocked"
            assert explained["detail"] == f"dropped without an answer: access.deny has {customer.address.host}/32"


def test_unknown_sources_of_a_denied_network_get_no_challenge_and_no_connection(stage: Stage) -> None:
    with Peer(Endpoint(PHONES["guesser"], 5_060)) as phone:
        assert phone.ask(register(phone, "before"), stage.address, "1 REGISTER", "before").status == 401
        with access(stage, f", deny: {PHONES['guesser']}"):
            assert hears_nothing(stage, phone, register(phone, "denied"))
            with socket.create_connection(stage.address, source_address=(PHONES["guesser"], 0)) as connection:
                connection.settimeout(20)
                assert connection.recv(1) == b""


def test_a_blocked_country_gets_403_and_a_record_says_which(stage: Stage) -> None:
    rules = ", rules: [{countries: [KP], action: block}]"
    with Peer(stage.endpoint_of("poor")) as customer, access(stage, rules), stage.expecting(Event.ACCESS_REFUSED):
        call = OutgoingCall(customer, stage.address, stage.number("44"))
        call.invite()
        response = call.refused()
        assert (response.status, response["Reason"]) == (403, 'Q.850;cause=21;text="Geofence Blocked"')
        record = stage.record_of(call.callee)
        assert (record["end_reason"], record["mapping_gateway"]) == ("Geofence Blocked", "far-away")
        why = stage.daemon.ask("cdr", "show", record["call_id"], "--why")
        assert why["refusal"] == "access.rules[0] has KP"
        explained = stage.daemon.ask(
            "route", "explain", "--gateway", "far-away", "--caller", "1", "--callee", "4420", "--live",
            "--source", customer.address.host,
        )  # fmt: skip
        assert explained["detail"] == "refused with 403: access.rules[0] has KP"
        write_places(stage.daemon.directory, {**COUNTRIES, CUSTOMERS["poor"]: "AT"})
        stage.daemon.succeed("reload")
        again = OutgoingCall(customer, stage.address, stage.number("33"))
        again.invite()
        again.refused()
        assert stage.record_of(again.callee)["end_reason"] == "No Matching Rate"
        write_places(stage.daemon.directory, COUNTRIES)


@pytest.mark.parametrize(
    ("place", "agent", "status", "reason"),
    [
        ("desk", YEALINK, 403, "No Matching Rate"),
        ("office", YEALINK, 403, "Geofence Blocked"),
        ("desk", "User-Agent: other", 403, "User Agent Not Allowed"),
    ],
)
def test_a_phone_calls_from_its_country_with_its_program(
    stage: Stage, place: str, agent: str, status: int, reason: str
) -> None:
    with Peer(Endpoint(PHONES[place], 5_060)) as phone, stage.expecting(Event.ACCESS_REFUSED):
        call = OutgoingCall(phone, stage.address, stage.number("33"), caller="7001")
        call.invite([agent])
        proof = answer_to(call.refused(), LOGIN, "INVITE", call.target)
        assert proof is not None
        call.remote_to = f"<{call.target}>"
        call.invite([agent, proof], cseq=2)
        refusal = phone.final_response("2 INVITE", call.call_id)
        assert refusal.status == status
        call.remote_to = refusal["To"]
        call.send(call.request("ACK", 2, branch="INVITE-2"))
        assert stage.record_of(call.callee)["end_reason"] == reason
        second = answer_to(
            phone.ask(register(phone, f"{place}-{reason}"), stage.address, "1 REGISTER", f"{place}-{reason}"),
            LOGIN, "REGISTER", f"sip:{FENCED_SWITCH}",
        )  # fmt: skip
        assert second is not None
        name = f"{place}-{reason}-proven"
        proven = phone.ask(register(phone, name, agent, second), stage.address, "1 REGISTER", name)
        assert proven.status == (200 if reason == "No Matching Rate" else 403)


def test_a_scanner_is_not_answered_and_an_honest_program_is(stage: Stage) -> None:
    with Peer(Endpoint(PHONES["scanner"], 5_060)) as unknown:
        assert hears_nothing(stage, unknown, register(unknown, "scan", "User-Agent: friendly-scanner"))
        honest = register(unknown, "honest", YEALINK)
        assert unknown.ask(honest, stage.address, "1 REGISTER", "honest").status == 401
