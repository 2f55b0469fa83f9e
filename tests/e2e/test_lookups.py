"""Number portability and the external redirect server, with the real daemon, a real HTTP server and a real SIP 302."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any, NamedTuple

import pytest
from doubles.daemon import Daemon
from doubles.sockets.peer import Message, OutgoingCall, Peer, compose, response_lines

from vosd.obs.events import Event as LogEvent

from .addresses import LOOKING_SWITCH, LOOKUP_SERVER, VENDORS
from .conditions import eventually
from .stage import Stage, configuration

SILENCE_S = 0.4
"""Time of a question that gets no answer."""
ANSWER_S = 9
"""Time of one that gets an answer: on a busy machine that takes a while."""
ROUTING = "4499100"
BY_HTTP = f"""
number_portability:
  url: "http://{LOOKUP_SERVER}/lrn/{{number}}"
  field: lrn
  timeout: {ANSWER_S}
"""
BY_SIP = f"""
number_portability: {{server: "{LOOKUP_SERVER}", timeout: {ANSWER_S}}}
"""
REDIRECTED = f"""
redirect_server: {{address: "{LOOKUP_SERVER}", timeout: {ANSWER_S}}}
"""
ANSWERED, SILENT = f"timeout: {ANSWER_S}", f"timeout: {SILENCE_S}"
CLOSED = "fail_open: no"
PORTED, KNOWN, LATE, ENDLESS, GARBAGE, CLOSING = (f"44{digit}" for digit in range(6))
"""Beginnings of numbers; what the HTTP server does with them."""


class Numbers(ThreadingHTTPServer):
    """Knows where numbers are ported to."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(LOOKUP_SERVER, Answering)
        self.asked: list[str] = []
        self.over = Event()


class Answering(BaseHTTPRequestHandler):
    """Answers one request."""

    server: Numbers

    def do_GET(self) -> None:
        number = self.path.rpartition("/")[2]
        self.server.asked.append(number)
        match number[:3]:
            case "440":
                self._say(b'{"lrn": "%s"}' % ROUTING.encode())
            case "441":
                self.send_error(404)
            case "442":
                self.server.over.wait(5)
            case "443":
                self._say(b"1" * 10_000_000)
            case "444":
                self._say(b"<html>")
            case _:
                self.connection.close()

    def _say(self, body: bytes) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_about: Any) -> None:
        """Say nothing."""

    def log_error(self, *_about: Any) -> None:
        """Say nothing."""


@contextmanager
def numbers() -> Iterator[Numbers]:
    server = Numbers()
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # the switch hangs up on 10 MB
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


class Parties(NamedTuple):
    """A stage with a customer, two vendors and a redirect server."""

    stage: Stage
    customer: Peer
    a: Peer
    b: Peer
    server: Peer
    known: set[str]
    """Call-IDs of the INVITEs that have arrived: on a busy machine they are repeated."""

    def configure(self, *sections: str) -> None:
        self.stage.daemon.configure(configuration("lookups.yaml", LOOKING_SWITCH) + "".join(sections))
        self.stage.daemon.succeed("reload")

    def invite(self, prefix: str) -> OutgoingCall:
        call = OutgoingCall(self.customer, self.stage.address, self.stage.number(prefix))
        call.invite()
        return call

    def fresh(self, peer: Peer) -> Message:
        """Return the next INVITE that is no retransmission, whatever arrives before it."""
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            message = peer.receive(1)
            if message is not None and message.method == "INVITE" and message["Call-ID"] not in self.known:
                self.known.add(message["Call-ID"])
                return message
        raise peer.unexpected("a new INVITE")

    def redirect(self, *contacts: str, status: int = 302) -> Message:
        """Let the redirect server answer its next INVITE, and return that."""
        asked = self.fresh(self.server)
        lines = response_lines(asked, status, f"server-{time.monotonic_ns()}", LOOKUP_SERVER)[:-1]
        self.server.send(compose([*lines, *(f"Contact: {each}" for each in contacts)]), asked.source)
        return asked

    def arrives(self, call: OutgoingCall, vendor: Peer) -> Message:
        """Let a call be busy at the vendor where it must arrive, and return its INVITE there."""
        incoming = self.fresh(vendor)
        vendor.reply(incoming, 486, tag=f"vendor-{call.call_id}")
        assert call.refused().status == 486
        return incoming

    def booked(self, call: OutgoingCall, wanted: int) -> list[dict[str, Any]]:
        """Return the records of calls to the same number, none until there are as many as wanted."""
        found = self.stage.records("--callee", call.callee)
        return found if len(found) == wanted else []

    def record_of(self, call: OutgoingCall) -> dict[str, Any]:
        return self.stage.record_of(call.callee)


@pytest.fixture(scope="module")
def parties(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parties]:
    directory = tmp_path_factory.mktemp("lookups")
    with Daemon(directory, configuration("lookups.yaml", LOOKING_SWITCH)) as daemon, ExitStack() as sockets:
        stage = Stage(daemon, LOOKING_SWITCH, LogEvent.LOOKUP_SERVICE_DOWN)
        addresses = (stage.endpoint_of("acme"), VENDORS["carrier-a"], VENDORS["carrier-b"], LOOKUP_SERVER)
        yield Parties(stage, *(sockets.enter_context(Peer(each)) for each in addresses), set())
        stage.expect_nothing_left()
        stage.expect_timers_run_out()
        stage.expect_books_in_order()
        assert stage.status()["lookups"] == 0
        assert daemon.interrupt() == 0
        stage.expect_clean_log()


def test_a_ported_number_found_by_http_is_routed_by_its_routing_number_and_found_once(parties: Parties) -> None:
    parties.configure(BY_HTTP)
    with numbers() as server:
        call = parties.invite(PORTED)
        incoming = parties.arrives(call, parties.b)
        assert incoming.start_line.startswith(f"INVITE sip:{call.callee};npdi;rn={ROUTING}@")
        again = OutgoingCall(parties.customer, parties.stage.address, call.callee)
        again.invite()
        parties.arrives(again, parties.b)
        assert server.asked == [call.callee]
    both = eventually(lambda: parties.booked(call, 2), "two records")
    assert {(each["callee_in"], each["callee_out"], each["callee_billing"]) for each in both} == {(call.callee,) * 3}


@pytest.mark.parametrize("beginning", [KNOWN, LATE, ENDLESS, GARBAGE, CLOSING])
def test_any_other_answer_by_http_leaves_the_number_as_dialled(parties: Parties, beginning: str) -> None:
    timeout_s, which = (SILENCE_S, SILENT) if beginning == LATE else (ANSWER_S, ANSWERED)
    parties.configure(BY_HTTP.replace(ANSWERED, which))
    with numbers():
        began = time.monotonic()
        call = parties.invite(beginning)
        assert parties.arrives(call, parties.a).start_line.startswith(f"INVITE sip:{call.callee}@")
        waited_s = time.monotonic() - began
    assert (waited_s >= timeout_s) == (beginning == LATE)


def test_a_call_may_be_refused_without_an_answer_instead(parties: Parties) -> None:
    parties.configure(BY_HTTP, f"  {CLOSED}\n")
    with numbers():
        call = parties.invite(GARBAGE)
        assert call.refused().status == 503
    record = parties.record_of(call)
    assert (record["end_reason"], record["attempts"]) == ("No Available Route", [])


def test_a_caller_may_give_up_while_its_number_is_looked_up(parties: Parties) -> None:
    parties.configure(BY_HTTP)
    with numbers():
        call = parties.invite(LATE)
        parties.customer.expect(100)  # without it a CANCEL may not be sent
        call.send(call.request("CANCEL", branch="INVITE"))
        assert call.refused().status == 487
    assert parties.record_of(call)["end_reason"] == "Cancelled"
    assert parties.record_of(call)["attempts"] == []


def test_a_ported_number_is_found_by_a_sip_redirect_server(parties: Parties) -> None:
    parties.configure(BY_SIP)
    call = parties.invite("4410")
    asked = parties.redirect(f"<sip:+{call.callee};npdi;rn=+{ROUTING}@{LOOKUP_SERVER}>")
    assert (asked.start_line, asked.body) == (f"INVITE sip:{call.callee}@{LOOKUP_SERVER} SIP/2.0", "")
    assert parties.arrives(call, parties.b).start_line.startswith(f"INVITE sip:{call.callee};npdi;rn=+{ROUTING}@")
    call = parties.invite("4410")
    parties.redirect(f"<sip:{call.callee};npdi@{LOOKUP_SERVER}>")
    parties.arrives(call, parties.a)


def test_the_redirect_server_names_gateway_and_number(parties: Parties) -> None:
    parties.configure(REDIRECTED)
    call = parties.invite("4410")
    a, b = VENDORS["carrier-a"], VENDORS["carrier-b"]
    parties.redirect(f"<sip:44771@{a}>;q=0.1", f"<sip:44772@{b}>;q=0.8", "<sip:44773@192.0.2.77>")
    incoming = parties.fresh(parties.b)
    assert incoming.start_line.startswith("INVITE sip:44772@")
    parties.b.reply(incoming, 503, tag="vendor-full")
    assert parties.arrives(call, parties.a).start_line.startswith("INVITE sip:44771@")
    record = parties.record_of(call)
    assert (record["callee_in"], record["callee_out"], record["callee_billing"]) == (call.callee, "44771", call.callee)
    assert [each["gateway"] for each in record["attempts"]] == ["carrier-b", "carrier-a"]


@pytest.mark.parametrize(
    "contact",
    [f"<sip:4499@{LOOKING_SWITCH}>", f"<sip:4499@{LOOKUP_SERVER}>", "<sip:;;>"],
    ids=["ourselves", "the server itself", "garbage"],
)
def test_a_loop_or_garbage_leaves_the_call_to_the_switch(parties: Parties, contact: str) -> None:
    parties.configure(REDIRECTED)
    call = parties.invite("4410")
    parties.redirect(contact)
    assert parties.arrives(call, parties.a).start_line.startswith(f"INVITE sip:{call.callee}@")


def test_a_silent_redirect_server_holds_a_call_for_its_time_only(parties: Parties) -> None:
    parties.configure(REDIRECTED.replace(ANSWERED, SILENT))
    began = time.monotonic()
    call = parties.invite("4410")
    parties.fresh(parties.server)
    parties.arrives(call, parties.a)
    assert SILENCE_S <= time.monotonic() - began < 30
    assert parties.stage.status()["lookups_failed"] >= 1


def test_a_caller_that_gives_up_meanwhile_cancels_the_question(parties: Parties) -> None:
    parties.configure(REDIRECTED)
    call = parties.invite("4410")
    asked = parties.fresh(parties.server)
    parties.server.reply(asked, 100)
    call.send(call.request("CANCEL", branch="INVITE"))
    assert call.refused().status == 487
    cancel = parties.server.expect("CANCEL", passing=("INVITE", "ACK"))
    assert cancel["Call-ID"] == asked["Call-ID"]
    parties.server.reply(cancel, 200)
    parties.server.reply(asked, 487, tag="server-cancelled")
    assert parties.record_of(call)["end_reason"] == "Cancelled"
