"""The message that a trunk would be sent for one that came: as the switch composes it, and by which rule."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from vosd.admin.explained_messages import AppliedRule, TrunkMessage
from vosd.b2bua.identity import CallerIdentity, caller_identity_of
from vosd.b2bua.outgoing.connected import asserted_number, with_number, withholds_sender
from vosd.b2bua.outgoing.invitation import written
from vosd.b2bua.outgoing.presentation import shows_number
from vosd.b2bua.outgoing.reasons import passed_on
from vosd.b2bua.outgoing.ruled import beside_session
from vosd.b2bua.outgoing.session_ids import identifier_in, line_of, made_identifier, remote_in
from vosd.b2bua.outgoing.signatures import SignatureLines, signature_lines
from vosd.base.clock import Instant
from vosd.base.errors import VosError
from vosd.base.host import is_address
from vosd.base.number import for_matching, without_separators
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.invite_numbers import InviteNumbers
from vosd.callcontrol.signatures import attested
from vosd.catalogue.catalogue import Catalogue
from vosd.routing.pipeline import RouteChoice
from vosd.sdp.anonymous import anonymous
from vosd.sip.endpoint import Endpoint
from vosd.sip.flows import Listener
from vosd.sip.headers.reason import q850_cause
from vosd.sip.settings import SipSettings
from vosd.sip.wire.body import passed_parts, session_of
from vosd.sip.wire.compose import escape_user, invite
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.message import Message, Request, Response
from vosd.sip.wire.multipart import BodyPart
from vosd.sip.wire.outgoing import Peer
from vosd.sip.wire.parse import parse_message
from vosd.sip.wire.uri import DEFAULT_PORTS
from vosd.trunks.dialect import CallerPrivacy, CallerSource, Privacy
from vosd.trunks.gateways import Address, MappingGateway, RoutingGateway
from vosd.trunks.header_rules import HeaderRules, SentAs, SessionIdUse, without

OURS: Final = "192.0.2.1"
"""Our address in what is shown."""
THERE: Final = "198.51.100.1"
"""Address of a trunk that is given by name, or that registers."""
_HOPS: Final = 69
_REFUSALS: Final = 300
_CALL_ID: Final = "01234567-89ab-7def-8123-456789abcdef"
_READ_FROM: Final = (CallerSource.ASSERTED, CallerSource.FROM)


class NotReadableError(VosError):
    """The message is no INVITE, or no response to one, that the switch would take."""


class _Facts(NamedTuple):
    """Facts of the call, as far as the message and the configuration have them (``MessageFacts``)."""

    facts: dict[str, str]
    is_hidden: bool = False

    def fact(self, name: str) -> str:
        return self.facts.get(name, "")

    def hides_caller(self) -> bool:
        return self.is_hidden


def read_message(text: str) -> Message:
    """Read a message from a file, whose lines may end as those of text files do; raises NotReadableError."""
    head, _, body = text.replace("\r\n", "\n").strip("\n").partition("\n\n")
    lines = [line for line in head.split("\n") if not line.lower().startswith(("content-length:", "l:"))]
    content = body.replace("\n", "\r\n").encode()
    content += b"\r\n" if content else b""
    data = "\r\n".join([*lines, f"Content-Length: {len(content)}", "", ""]).encode() + content
    try:
        message = parse_message(data)
    except ParseError as error:
        raise NotReadableError(f"no message that the switch takes: {error}") from error
    if isinstance(message, Request) and message.method != "INVITE":
        raise NotReadableError(f"an INVITE, or a response to one, not {message.method}")
    return message


def sent_to_vendor(
    gateway: RoutingGateway, request: Request, caller: MappingGateway | None, catalogue: Catalogue, now_ms: int
) -> TrunkMessage:
    """Return the INVITE that a vendor would be sent; ``caller`` is the trunk that it came from, if one is named.

    The numbers are those of the message: rewriting rules and tech prefixes are shown by ``route explain``. A call is
    signed with ``now_ms``.
    """
    numbers, identity, dialect = InviteNumbers(request), caller_identity_of(request), gateway.dialect
    if caller is not None and caller.caller_numbers is not None:
        identity = identity.of_user(caller.caller_numbers.permits)
    callee = without_separators(numbers.called())
    shown = without_separators(numbers.calling(_READ_FROM if caller is None else caller.dialect.caller_from))
    if numbers.display is not None:
        identity = identity.named(numbers.display)
    if numbers.is_withheld:
        identity = identity.withheld_as(CallerPrivacy.WITHHELD)
    address = _address_of(gateway)
    transport = address.transport or "udp"
    drops, session = caller is not None and caller.drops_caller, session_of(request)
    if drops or identity.withholds_session or dialect.privacy is Privacy.ANONYMISE:
        session = anonymous(session)
    listener = Listener(OURS, DEFAULT_PORTS[transport], transport)
    endpoint = Endpoint(SipSettings(product="vosd"), [listener], lambda: "token", lambda _host, _port: True)
    choice = RouteChoice(gateway, "", callee, shown)
    invitation = written(
        endpoint, choice, address, Peer(0, address.host, address.port or listener.port), _HOPS,
        caller_identity=identity, tag="tag", offer=session, may_be_reliable=True, answers=None,
        signed=_signed(choice, identity, caller, catalogue, now_ms),
    )  # fmt: skip
    is_hidden = drops or not shows_number(identity, dialect)
    visible = "" if is_hidden else escape_user(shown)
    facts = _Facts(
        {
            "caller": visible,
            "caller_in": visible,
            "callee": escape_user(callee),
            "callee_in": escape_user(callee),
            "account": "" if caller is None else caller.account,
            "customer": "" if caller is None else caller.name,
            "gateway": gateway.name,
            "call_id": _CALL_ID,
        },
        is_hidden,
    )
    headers = invitation.headers + invitation.content
    headers, rules = _ruled(headers, dialect.sent_as, request, facts, to_caller=False)
    is_emergency = catalogue.parameters.special_numbers.is_emergency(for_matching(callee))
    bodies = dialect.bodies if is_emergency else dialect.bodies_of(identity.privacy)
    parts = passed_parts(request, bodies)
    content, body = beside_session(headers, invitation.body, parts)
    whole = invite(invitation.parts, invitation.hops, content, body)
    return TrunkMessage(whole.decode("utf-8", "replace"), [*rules, *_passed(parts)])


def _signed(
    choice: RouteChoice, identity: CallerIdentity, caller: MappingGateway | None, catalogue: Catalogue, now_ms: int
) -> SignatureLines | None:
    """Return the signatures of a call that has not been verified."""
    dialect, now = choice.gateway.dialect, Instant(0, now_ms)
    if dialect.stir is None and not identity.signatures:
        return None
    account = None if caller is None else catalogue.accounts.get(caller.account)
    call = CallRequest("", 0, 0, at=now, mapping=caller, account=account)
    terms = attested(call, choice.caller_out, catalogue)
    return signature_lines(identity, choice, terms, shows_number=shows_number(identity, dialect), now=now)


def sent_to_customer(gateway: MappingGateway, response: Response) -> TrunkMessage:
    """Return the lines of the response that a customer would be sent for one of a vendor."""
    headers = f"Server: vosd\r\nContact: <sip:{OURS}:5060>\r\n"
    facts = _Facts({"account": gateway.account, "customer": gateway.name}, withholds_sender(response))
    cause = q850_cause(response)
    if cause is not None and response.status >= _REFUSALS:
        headers += passed_on(cause, gateway.dialect.reasons)
    headers, rules = _ruled(headers, gateway.dialect.sent_as, response, facts, to_caller=True)
    return TrunkMessage(headers, [*rules, *_passed(passed_parts(response, gateway.dialect.bodies))])


def explain_message(catalogue: Catalogue, name: str, text: str, source: str | None, now_ms: int) -> TrunkMessage | None:
    """Return what the gateway of that name would be sent for a message; None = there is no such gateway, or source.

    Raises:
        NotReadableError: the message is none, or not of the kind that leads to one for this gateway.
    """
    message = read_message(text)
    caller = None if source is None else catalogue.mapping_gateways.get(source)
    if source is not None and caller is None:
        return None
    if isinstance(message, Request):
        vendor = catalogue.routing_gateways.get(name) or catalogue.called_trunks.get(name)
        return None if vendor is None else sent_to_vendor(vendor, message, caller, catalogue, now_ms)
    customer = catalogue.mapping_gateways.get(name)
    if customer is None or not isinstance(message, Response):
        return None
    return sent_to_customer(customer, message)


def _ruled(
    headers: str, sent_as: SentAs | None, received: Message, facts: _Facts, *, to_caller: bool
) -> tuple[str, list[AppliedRule]]:
    if sent_as is None:
        return headers, []
    headers = sent_as.named(headers)
    applied: list[AppliedRule] = []
    if sent_as.headers is not None:
        rules: HeaderRules = sent_as.headers.responses if to_caller else sent_as.headers.requests
        applied = [AppliedRule(*each) for each in rules.explained(headers, received, facts)]
        headers = rules.applied(headers, received, facts)
    if sent_as.shows_connected and isinstance(received, Response) and 200 <= received.status < _REFUSALS:
        number = asserted_number(received)
        headers = with_number(headers, number) if number else headers
        line = headers.rstrip("\r\n").rpartition("\r\n")[2] if number else "is left out: the message shows no number"
        applied.append(AppliedRule("connected_identity", line))
    if sent_as.causes is not None:
        own = sent_as.causes.written(headers)
        changed = [line for line in own.split("\r\n") if line not in headers.split("\r\n")]
        applied += [AppliedRule("causes", line) for line in changed]
        headers = own
    if sent_as.session_id is not SessionIdUse.OFF:
        line = _session_id(sent_as.session_id, received, to_caller=to_caller)
        if not line:
            return headers, [*applied, AppliedRule("session_id", "is left out: the message has none")]
        headers = without(headers, "session-id") + line
        applied.append(AppliedRule("session_id", line.rstrip()))
    return headers, applied


def _session_id(use: SessionIdUse, received: Message, *, to_caller: bool) -> str:
    found = identifier_in(received)
    if not found and use is SessionIdUse.MAKE:
        found = made_identifier(_CALL_ID, "callee" if to_caller else "caller")
    return line_of(found, remote_in(received) if to_caller else "")


def _passed(parts: Sequence[BodyPart]) -> list[AppliedRule]:
    return [AppliedRule("body", each.written_type) for each in parts]


def _address_of(gateway: RoutingGateway) -> Address:
    """Return the first address of a gateway; that of a name, or of one that registers, is made up."""
    if not gateway.addresses:
        return Address(THERE, 5_060, uri=f"sip:{gateway.name}@{THERE}")
    address = gateway.addresses[0]
    if is_address(address.host):
        return address
    port = address.port or DEFAULT_PORTS[address.transport or "udp"]
    return Address(THERE, port, address.transport, name=address.host, written=str(address))
