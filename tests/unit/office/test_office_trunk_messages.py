"""The office says which messages a trunk would be sent."""

from pathlib import Path

import msgspec
import pytest
from doubles.data import builders
from doubles.office import agent, office_on, operator
from doubles.sti import VIRTUAL_NOW_MS, usual
from doubles.virtual.probe import request
from doubles.virtual.scene import vendor_gateway

from vosd.admin.office.object_versions import NoSuchObjectError
from vosd.admin.office.office import Office
from vosd.admin.office.principal import OperatorsOnlyError, OrderError
from vosd.admin.office.trunks import ExplainTrunk, explain_trunk
from vosd.stir.passport import SignedAbout, read
from vosd.stir.settings import StirTerms
from vosd.stir.terms import Attestation
from vosd.storage.database import Database
from vosd.trunks.causes import TrunkCauses
from vosd.trunks.dialect import CalleeDialect, CallerDialect, Passing, Privacy
from vosd.trunks.gateways import CallerNumbers
from vosd.trunks.header_rules import HeaderRules, SessionIdUse, TrunkHeaders
from vosd.trunks.number_rules import IncomingNumbers
from vosd.trunks.stir import VendorSignatures

INVITE = request(headers="X-Campaign: spring\r\nX-Secret: 7\r\n").decode()
IDENTIFIER = "ab30317f1a784dc48ff824d0d3715d86"
ANSWER = "\n".join(
    ["SIP/2.0 200 OK", "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa", "From: <sip:1@h>;tag=a", "To: <sip:2@h>;tag=b",
     "Call-ID: c", "CSeq: 1 INVITE", "Contact: <sip:2@h>", "X-Rate: 5", "", ""]
)  # fmt: skip


@pytest.fixture
def office(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    rules = HeaderRules(("x-*",), ("x-secret",), (("X-Tenant", "{account}"),), (("X-None", "{header X-Missing}"),))
    vendor = vendor_gateway(0, dialect=CalleeDialect(headers=TrunkHeaders(rules), request_host="carrier.example"))
    dialect = CallerDialect(headers=TrunkHeaders(responses=HeaderRules(("x-rate",))), user_agent="Acme")
    content = builders.catalogue([builders.mapping_gateway("acme", "198.51.100.10/32", dialect=dialect), vendor])
    accounts = builders.account("south"), builders.account("shop", agent="south")
    office = office_on(database, *accounts, now=0, socket=tmp_path / "s")
    monkeypatch.setattr(office.definitions, "catalogue", lambda _other, _versions: content)
    return office


ORDER = ExplainTrunk(gateway="vendor-0", message=INVITE, source="acme")


async def test_the_invite_that_would_leave_and_the_rules_of_its_lines(office):
    found = await explain_trunk(office, operator(), ORDER)
    assert found.message.startswith("INVITE sip:4420@carrier.example SIP/2.0\r\n")
    assert "X-Campaign: spring\r\n" in found.message
    assert "X-Tenant: acme\r\n" in found.message
    assert "X-Secret" not in found.message
    assert [(each.rule, each.line) for each in found.rules] == [
        ("pass", "X-Campaign: spring"), ("pass", "X-Secret: 7"), ("remove", "X-Secret: 7"), ("set", "X-Tenant: acme"),
        ("add", "X-None is left out: its value is empty"),
    ]  # fmt: skip


async def test_the_lines_of_a_response_that_a_customer_would_get(office):
    order = ExplainTrunk(gateway="acme", message=ANSWER)
    found = await explain_trunk(office, operator(), order)
    assert "X-Rate: 5\r\n" in found.message
    assert "Server: Acme\r\n" in found.message
    assert [(each.rule, each.line) for each in found.rules] == [("pass", "X-Rate: 5")]


@pytest.mark.parametrize(
    ("use", "sent", "line"),
    [
        (SessionIdUse.PASS, f"Session-ID: {IDENTIFIER}\r\n", f"Session-ID: {IDENTIFIER};remote={'0' * 32}"),
        (SessionIdUse.PASS, "", "is left out: the message has none"),
    ],
)
async def test_the_session_id_that_would_be_sent(office, monkeypatch, use, sent, line):
    content = builders.catalogue([vendor_gateway(0, dialect=CalleeDialect(session_id=use))])
    monkeypatch.setattr(office.definitions, "catalogue", lambda _other, _versions: content)
    order = ExplainTrunk(gateway="vendor-0", message=request(headers=sent).decode())
    found = await explain_trunk(office, operator(), order)
    assert [(each.rule, each.line) for each in found.rules] == [("session_id", line)]
    assert (line in found.message) is bool(sent)


async def test_the_cause_that_a_customer_would_get(office, monkeypatch):
    dialect = CallerDialect(causes=TrunkCauses(sent={"17": 34}))
    content = builders.catalogue([builders.mapping_gateway("acme", "198.51.100.10/32", dialect=dialect)])
    monkeypatch.setattr(office.definitions, "catalogue", lambda _other, _versions: content)
    busy = ANSWER.replace("200 OK", "486 Busy").replace("X-Rate: 5", "Reason: Q.850;cause=17")
    found = await explain_trunk(office, operator(), ExplainTrunk(gateway="acme", message=busy))
    (rule,) = found.rules
    assert (rule.rule, rule.line.startswith("Reason: Q.850;cause=34;")) == ("causes", True)
    assert rule.line in found.message


async def test_the_number_of_the_callee_that_a_customer_would_see(office, monkeypatch):
    dialect = CallerDialect(connected_identity=Passing.PASS)
    content = builders.catalogue([builders.mapping_gateway("acme", "198.51.100.10/32", dialect=dialect)])
    monkeypatch.setattr(office.definitions, "catalogue", lambda _other, _versions: content)
    answer = ANSWER.replace("X-Rate: 5", "P-Asserted-Identity: <tel:+44201>")
    found = await explain_trunk(office, operator(), ExplainTrunk(gateway="acme", message=answer))
    line = "P-Asserted-Identity: <sip:+44201@192.0.2.1>"
    assert [(each.rule, each.line) for each in found.rules] == [("connected_identity", line)]
    assert line in found.message


async def test_parts_of_the_body_that_would_be_passed(office, monkeypatch):
    session = "Content-Type: application/sdp\r\n\r\nv=0\r\n"
    isup = "Content-Type: application/isup;version=itu-t92+\r\n\r\nIAM"
    body = "".join(f"--x\r\n{part}\r\n" for part in (session, "\r\nnote", isup)) + "--x--"
    invite = request(headers="Content-Type: multipart/mixed;boundary=x\r\n", body=body.encode()).decode()
    vendor = vendor_gateway(0, dialect=CalleeDialect(bodies=frozenset({"application/isup"})))
    content = builders.catalogue([builders.mapping_gateway("acme", "198.51.100.10/32"), vendor])
    monkeypatch.setattr(office.definitions, "catalogue", lambda _other, _versions: content)
    found = await explain_trunk(office, operator(), msgspec.structs.replace(ORDER, message=invite))
    assert [(each.rule, each.line) for each in found.rules] == [("body", "application/isup;version=itu-t92+")]
    assert "\r\n\r\nIAM\r\n" in found.message
    assert "note" not in found.message


@pytest.mark.parametrize(("by", "names"), [("none", True), ("caller", False), ("customer", False), ("vendor", False)])
async def test_the_session_names_no_one_where_the_vendor_may_not_learn_who_calls(office, monkeypatch, by, names):
    session = b"v=0\r\no=anne 1 1 IN IP4 198.51.100.10\r\ns=Anne\r\n"
    wish = "Privacy: id\r\n" if by == "caller" else ""
    invite = request(headers=f"{wish}Content-Type: application/sdp\r\n", body=session).decode()
    numbers = IncomingNumbers(caller_drop=by == "customer")
    vendor = vendor_gateway(0, dialect=CalleeDialect(privacy=Privacy.ANONYMISE if by == "vendor" else Privacy.HONOUR))
    content = builders.catalogue([builders.mapping_gateway("acme", "198.51.100.10/32", numbers=numbers), vendor])
    monkeypatch.setattr(office.definitions, "catalogue", lambda _other, _versions: content)
    found = await explain_trunk(office, operator(), msgspec.structs.replace(ORDER, message=invite))
    assert ("o=anne" in found.message, "s=Anne" in found.message) == (names, names)


@pytest.mark.parametrize("text", ["", "hello", INVITE.replace("INVITE", "OPTIONS"), INVITE.replace("CSeq", "X-CSeq")])
async def test_what_is_no_message_is_refused(office, text):
    with pytest.raises(OrderError):
        await explain_trunk(office, operator(), msgspec.structs.replace(ORDER, message=text))


async def test_unknown_names_and_agents_are_refused(office):
    for changed in (
        {"gateway": "absent"},
        {"gateway": "absent", "source": None},
        {"source": "absent"},
        {"message": ANSWER},
    ):
        with pytest.raises(NoSuchObjectError, match=r"^((?!None).)*$"):
            await explain_trunk(office, operator(), msgspec.structs.replace(ORDER, **changed))
    with pytest.raises(OperatorsOnlyError):
        await explain_trunk(office, agent("south"), ORDER)


async def test_a_call_that_would_be_signed_shows_its_token(office, monkeypatch):
    dialect = CalleeDialect(stir=VendorSignatures(sign=True))
    trunks = [builders.mapping_gateway("acme", "198.51.100.10/32"), vendor_gateway(0, dialect=dialect)]
    content = builders.catalogue(trunks, stir=StirTerms(usual()[1].signer))
    monkeypatch.setattr(office.definitions, "catalogue", lambda _other, _versions: content)
    monkeypatch.setattr(office, "now", lambda: VIRTUAL_NOW_MS)
    message = request(from_="<sip:12025550100@h>;tag=1").decode()
    found = await explain_trunk(office, operator(), ExplainTrunk(gateway="vendor-0", message=message, source="acme"))
    (value,) = (line.removeprefix("Identity: ") for line in found.message.split("\r\n") if line.startswith("Identity"))
    token = read(value, SignedAbout("", "", ""))
    assert token is not None
    assert (token.claims.dest.tn, token.claims.attestation, token.claims.iat) == (
        ("4420",),
        "C",
        VIRTUAL_NOW_MS // 1_000,
    )


async def test_a_phone_speaks_for_its_own_numbers_alone(office, monkeypatch):
    """As in a call: its signature and its history are left out, and diversions by numbers that are not its own."""
    mine = CallerNumbers("12025550100")
    desk = builders.phone("12025550100", "198.51.100.10/32", caller_numbers=mine)
    vendor = vendor_gateway(0, dialect=CalleeDialect(diversion=Passing.PASS, history_info=Passing.PASS))
    content = builders.catalogue([builders.mapping_gateway("acme", "198.51.100.11/32"), vendor], phones=[desk])
    monkeypatch.setattr(office.definitions, "catalogue", lambda _other, _versions: content)
    token = usual()[1].signer.shaken("12025550100", "4420", Attestation.FULL, "x", VIRTUAL_NOW_MS // 1_000)
    history = "History-Info: <sip:4421@h>;index=1\r\n"
    diversions = "Diversion: <sip:12025550100@h>;reason=no-answer, <sip:4422@h>;reason=unknown\r\n"
    headers = f"Identity: {token}\r\n{history}{diversions}"
    message = request(from_="<sip:12025550100@h>;tag=1", headers=headers).decode()
    shown = {}
    for source in ("acme", "12025550100"):
        order = ExplainTrunk(gateway="vendor-0", message=message, source=source)
        found = await explain_trunk(office, operator(), order)
        lines = [line.partition("@")[0] for line in found.message.split("\r\n")]
        shown[source] = [line for line in lines if line.startswith(("Identity: ", "History-Info: ", "Diversion: "))]
    own, other = "Diversion: <sip:12025550100", "Diversion: <sip:4422"
    assert shown == {"acme": [own, other, "History-Info: <sip:4421", f"Identity: {token}"], "12025550100": [own]}
