"""Markup and formulas in every field and header that is shown: nothing of them runs, and exports are safe to open."""

import csv
import io
import zipfile
from typing import Any, Final
from urllib.parse import quote

import pytest
from api.watched import Watched
from doubles.sockets.login import Login, answer_to
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import ANSWER, OutgoingCall, Peer
from doubles.telephone import Telephone
from e2e.addresses import API_SWITCH, PHONES, VENDORS
from playwright.sync_api import expect

from console.conftest import Visitor

RUNS: Final = "globalThis.hasRun=1"
IMAGE: Final = f"<img src=x onerror={RUNS}>"
SCRIPT: Final = f"</td><script>{RUNS}</script>"
FORMULA: Final = "=cmd|' /C calc'!A0"
CALL_ID: Final = '+1"><svg/onload(globalThis.hasRun)>@<b>'
"""A Call-ID of characters that RFC 3261 lets into a word."""
PLACES: Final = (
    "/", "/calls", "/cdrs", "/cdrs/{call}", "/accounts", "/accounts/shop", "/gateways", "/gateways/carrier-a",
    "/alarms",
    "/reports?name=areas", "/found?q={markup}", "/reports?name=balances", "/found?q=%3Dcmd", "/lists/registrations",
    "/lists/overrides", "/lists/audit", "/lists/people", "/lists/tokens", "/lists/ledger", "/objects/accounts/shop",
    "/lists/{markup}", "/accounts/{markup}", "/cdrs?caller={markup}", "/cdrs/{markup}", "/try?gateway={markup}",
    "/objects/mapping_gateways", "/objects/phones", "/changes", "/payments?account=shop", "/lists/blacklist",
    "/rates/{markup}", "/parameters?q={markup}", "/cdrs?columns={markup}", "/compare?one={markup}",
    "/reports?name=revenue&account={markup}&figure={markup}",
)  # fmt: skip


@pytest.fixture(scope="module")
def record(site: Watched) -> dict[str, Any]:
    """Fill all that others choose with markup and formulas, and return the record of a call like that."""
    for account, keys in (
        ("shop", {"rate_group": "sell", "name": SCRIPT, "contact": FORMULA, "memo": IMAGE}),
        ("=shop", {"rate_group": "sell", "name": FORMULA, "group": IMAGE}),
    ):
        made = site.api.ask("PUT", f"/accounts/{quote(account, safe='')}", {"keys": keys, "memo": FORMULA})
        assert made.status == 200, made.content
    for memo, reference in ((IMAGE, FORMULA), (FORMULA, SCRIPT)):
        site.daemon.succeed(
            "payment", "add", "--account", "shop", "--amount", "1", "--memo", memo, "--reference", reference
        )
    site.daemon.succeed("user", "add", IMAGE, "--role", "viewer")
    site.daemon.succeed("token", "add", FORMULA, "--role", "viewer")
    site.daemon.succeed("gateway", "block", "carrier-c", "--memo", IMAGE)
    _register(site)
    return _call(site)


def _register(site: Watched) -> None:
    with Peer(Endpoint(PHONES["desk"], 15_997)) as desk:
        phone = Telephone(desk, API_SWITCH, Login("7001", "a-long-secret-1"))
        answer = phone._ask_to_register(600)
        proof = answer_to(answer, Login("7001", "a-long-secret-1"), "REGISTER", phone._uri)
        assert proof is not None
        assert phone._ask_to_register(600, f"{proof}\r\nUser-Agent: {FORMULA}{IMAGE}").status == 200


class HostileCall(OutgoingCall):
    """A call with markup wherever RFC 3261 lets characters of it in."""

    def request(self, method: str, cseq: int = 1, **named: Any) -> str:
        """Compose a request; branch and tag are tokens, which have no such characters."""
        plain = super().request(method, cseq, **named)
        tokens = plain.replace(f"z9hG4bK{CALL_ID}", "z9hG4bKhostile").replace(f"customer-{CALL_ID}", "customer")
        return tokens.replace("From: <", f'From: "{IMAGE}" <')


def _call(site: Watched) -> dict[str, Any]:
    callee = site.stage.number("4410")
    with Peer(VENDORS["carrier-a"]) as vendor, Peer(site.stage.endpoint_of("acme")) as caller:
        call = HostileCall(caller, API_SWITCH, callee, caller="%3Cscript%3Ealert(1)%3C%2Fscript%3E", call_id=CALL_ID)
        call.invite(headers=[f"User-Agent: {IMAGE}", f"Subject: {SCRIPT}"])
        vendor.reply(vendor.expect("INVITE"), 200, tag="vendor", body=ANSWER, headers=[f"Server: {IMAGE}"])
        call.answered()
        vendor.expect("ACK")
        call.send(call.request("BYE", 2, headers=[f'Reason: Q.850;cause=16;text="{IMAGE}"']))
        vendor.reply(vendor.expect("BYE"), 200)
        caller.expect(200)
    return site.stage.record_of(callee)


def test_nothing_that_others_choose_runs_in_the_console(boss: Visitor, record: dict[str, Any]) -> None:
    boss.go("/trace")
    for place in PLACES:
        page = boss.turn(place.format(call=record["call_id"], markup=quote(IMAGE, safe="")))
        expect(page.get_by_text("Loading", exact=True)).to_have_count(0)
        assert page.evaluate("globalThis.hasRun") is None, place
        assert page.locator("main script, main img, main b.x, main svg[onload]").count() == 0, place
    page = boss.turn(f"/cdrs/{record['call_id']}")
    for tab in page.get_by_role("tab").all():
        tab.click()
        expect(page.get_by_text("Loading", exact=True)).to_have_count(0)
        assert page.locator("main script, main img, main svg[onload]").count() == 0
        assert page.evaluate("globalThis.hasRun") is None
    boss.turn("/accounts/shop", "shop").get_by_text(IMAGE).first.wait_for()
    boss.turn("/lists/registrations").get_by_text(FORMULA).first.wait_for()


@pytest.mark.parametrize(
    ("path", "contains"),
    [
        ("/cdrs", "svg"),
        ("/ledger?account=shop", "cmd|"),
        ("/registrations", "cmd|"),
        ("/tokens", "cmd|"),
        ("/balances", "cmd|"),
    ],
)
def test_files_for_spreadsheets_have_no_formula(
    site: Watched, record: dict[str, Any], path: str, contains: str
) -> None:
    reply = site.api.ask("GET", path, headers={"Accept": "text/csv"})
    assert reply.status == 200, reply.content
    cells = [cell for row in csv.reader(io.StringIO(reply.content.decode("utf-8-sig"))) for cell in row]
    assert any(contains in cell for cell in cells)
    assert [
        cell
        for cell in cells
        if cell.lstrip()[:1] in set("=+-@") and not cell.lstrip("-").replace(".", "", 1).isdigit()
    ] == []


@pytest.mark.parametrize(("path", "contains"), [("/reports/balances", "=shop"), ("/cdrs", "svg"), ("/tokens", "=cmd|")])
def test_a_workbook_has_no_formula(site: Watched, record: dict[str, Any], path: str, contains: str) -> None:
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    reply = site.api.ask("GET", path, headers={"Accept": kind})
    assert reply.status == 200, reply.content
    assert reply.headers["content-type"] == kind
    with zipfile.ZipFile(io.BytesIO(reply.content)) as book:
        texts = "".join(book.read(name).decode() for name in book.namelist() if name.endswith(".xml"))
    assert contains in texts
    assert "<f>" not in texts
