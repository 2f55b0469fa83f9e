"""Passwords at a strict RADIUS server: what it is asked, and what its answers and its silence lead to."""

import asyncio
from dataclasses import replace
from typing import Any

from doubles.data.builders import catalogue, credentials, mapping_gateway, phone
from doubles.radius_server import ACCESS, RadiusServer
from doubles.sockets.login import Login
from doubles.sockets.loopback import Endpoint
from doubles.virtual.scene import CUSTOMER, Scene, vendor_gateway
from structlog.testing import capture_logs

from vosd.base.secret import Secret
from vosd.engine.clock import SystemClock
from vosd.engine.registration.authentication import HeldRequest, PasswordVerdict
from vosd.engine.registration.remote_passwords import RemotePasswords
from vosd.obs.figures import Figure
from vosd.radius import settings as radius
from vosd.sip.auth_gate import BY_ADDRESS, Accepted

DESK = Endpoint("203.0.113.66", 41_234)
USERS = {"1001": "right"}
Verdict = tuple[PasswordVerdict, Accepted]


def held(password: str, method: str = "INVITE", *, has_qop: bool = True) -> HeldRequest:
    """Return a request with a good nonce, as the gate holds it."""
    remote = phone("1001", credentials=replace(credentials("1001", "x"), is_remote=True))
    stage = Scene(catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)], phones=[remote]))
    found: list[HeldRequest] = []
    stage.exchange.authenticator.ask_others = found.append
    stage.exchange.request_client(DESK).prove(Login("1001", password, has_qop=has_qop), method)
    return found[0]


async def verdict_of(server: RadiusServer, request: HeldRequest, **others: Any) -> Verdict:
    asked = radius.RadiusSettings(
        (radius.RadiusServer("127.0.0.1", Secret("between us"), server.port),),
        "sw1",
        **{"timeout_ms": 20_000, **others},
    )
    verdict: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
    passwords = RemotePasswords(SystemClock(), asked, lambda _held, found, terms: verdict.set_result((found, terms)))
    passwords.ask(request)
    assert passwords.census()[Figure.RADIUS_PASSWORDS] == 1
    found = await asyncio.wait_for(verdict, 30)
    passwords.stop()
    return found


async def test_right_and_wrong_passwords_of_calls_and_registrations():
    with RadiusServer(users=USERS) as server:
        for method in ("INVITE", "REGISTER"):
            assert await verdict_of(server, held("right", method)) == (PasswordVerdict.RIGHT, BY_ADDRESS)
            assert await verdict_of(server, held("wrong", method)) == (PasswordVerdict.WRONG, BY_ADDRESS)
        assert await verdict_of(server, held("right", has_qop=False)) == (PasswordVerdict.RIGHT, BY_ADDRESS)
        assert server.faults == []
        call, registration = server.packets[0], server.packets[2]
        assert (call.code, call.text(1), call.text(32)) == (ACCESS, "1001", "sw1")
        assert (call.text(30), call.text(31)) == ("442079460000", "1001")
        assert 30 not in dict(registration.attributes), "a registration calls no one"


async def test_each_form_of_a_digest_is_enough():
    with RadiusServer(users=USERS) as server:
        for form in (radius.DigestForm.RFC_5090, radius.DigestForm.STERMAN):
            assert (await verdict_of(server, held("right"), digest=form))[0] is PasswordVerdict.RIGHT
            assert (await verdict_of(server, held("wrong"), digest=form))[0] is PasswordVerdict.WRONG
        assert server.faults == []


async def test_the_server_limits_a_call_by_session_timeout():
    with RadiusServer(users=USERS) as server:
        for said, longest in ((90, 90), (0, 1), (2**32 - 1, 604_800)):
            server.reply = [(27, said.to_bytes(4, "big"))]
            assert await verdict_of(server, held("right")) == (PasswordVerdict.RIGHT, Accepted(longest_s=longest))


async def test_the_server_asks_for_interim_updates_not_too_often():
    with RadiusServer(users=USERS) as server:
        for said, interim in ((300, 300), (5, 60)):
            server.reply = [(85, said.to_bytes(4, "big"))]
            assert await verdict_of(server, held("right")) == (PasswordVerdict.RIGHT, Accepted(interim_s=interim))


async def test_class_comes_back_in_the_accounting():
    with RadiusServer(users=USERS) as server:
        server.reply = [(25, b"gold"), (25, b"\xff\x00")]
        assert await verdict_of(server, held("right")) == (
            PasswordVerdict.RIGHT,
            Accepted(radius_classes=(b"gold", b"\xff\x00")),
        )
        server.reply = [(25, bytes([number])) for number in range(9)]
        _, terms = await verdict_of(server, held("right"))
        assert len(terms.radius_classes) == 4


async def test_the_log_says_what_to_do_about_silence():
    with RadiusServer(users=USERS) as server, capture_logs() as logs:
        server.silent = True
        await verdict_of(server, held("right"), timeout_ms=20, tries=1)
    (line,) = [each for each in logs if each["event"] == "password_not_judged"]
    assert (line["decides"], "servers of radius" in line["do"]) == ("refuse", True)


async def test_silence_is_no_verdict_or_that_of_the_own_password():
    with RadiusServer(users=USERS) as server:
        server.silent = True
        silent = {"timeout_ms": 20, "tries": 1}
        assert await verdict_of(server, held("right"), **silent) == (PasswordVerdict.UNKNOWN, BY_ADDRESS)
        local = radius.Unreachable.LOCAL
        assert await verdict_of(server, held("x"), on_failure=local, **silent) == (PasswordVerdict.LOCAL, BY_ADDRESS)
        assert await verdict_of(server, held("x"), deadline_ms=40) == (PasswordVerdict.UNKNOWN, BY_ADDRESS)


async def test_an_answer_without_proof_is_none_unless_the_operator_says_so():
    with RadiusServer(users=USERS) as server:
        server.signs = False
        quick = {"timeout_ms": 100, "tries": 1}
        assert (await verdict_of(server, held("right"), **quick))[0] is PasswordVerdict.UNKNOWN
        assert (await verdict_of(server, held("right"), wants_proof=False))[0] is PasswordVerdict.RIGHT
