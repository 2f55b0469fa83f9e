"""Keys by which trunks are spoken to: ``headers``, ``number_format``, ``caller_format`` and their like."""

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import Field

from vosd.config.reader.codes import causes_instead
from vosd.config.reader.fields import ONE_OR_MANY, FromText, KeyProblemError, Keys, choice, switch, text_where, whole
from vosd.config.reader.numbers import telephone_number
from vosd.config.reader.trunk_headers import body_type, header_pattern, header_values, product, uri_host, uri_user
from vosd.trunks.dialect import ReasonForm
from vosd.trunks.header_rules import Values
from vosd.trunks.number_format import NumberNotation

_DIGITS_MAX: Final = 4


def few_digits() -> FromText:
    """Read a country code or a prefix."""
    return text_where(
        lambda text: text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX, f"1 to {_DIGITS_MAX} digits"
    )


class ResponseHeaderKeys(Keys):
    """Headers of the responses to INVITE that it is sent; ``pass`` takes those of the other side's response."""

    passes: Annotated[tuple[Annotated[str, header_pattern(passes=True, to_caller=True)], ...], ONE_OR_MANY] = Field(
        default=(), alias="pass"
    )
    """Headers of the response that is forwarded, by name or as ``X-*``."""
    remove: Annotated[tuple[Annotated[str, header_pattern()], ...], ONE_OR_MANY] = ()
    """Headers that are left out."""
    add: Annotated[Values, header_values()] = ()
    """Headers that are sent besides those of the same name."""
    set: Annotated[Values, header_values()] = ()
    """Headers that have this value and no other."""


class HeaderKeys(Keys):
    """Headers of its requests, beside those of the switch: first ``pass``, then ``remove``, ``set``, ``add``."""

    passes: Annotated[tuple[Annotated[str, header_pattern(passes=True)], ...], ONE_OR_MANY] = Field(
        default=(), alias="pass"
    )
    """Headers of the request that is forwarded, by name or as ``X-*``: of the caller's INVITE and of a BYE. Not those
    that transaction, dialog, digest or body live by, nor those that say who calls: ``identity``, ``privacy``,
    ``diversion`` and ``history_info`` pass those."""
    remove: Annotated[tuple[Annotated[str, header_pattern()], ...], ONE_OR_MANY] = ()
    """Headers that are left out, also of those that the switch writes itself or that ``pass`` took."""
    add: Annotated[Values, header_values()] = ()
    """Headers that are sent besides those of the same name. A value may contain ``{caller}``, ``{callee}``,
    ``{caller_in}``, ``{callee_in}``, ``{account}``, ``{customer}``, ``{gateway}``, ``{call_id}``, ``{header NAME}`` and
    ``{header NAME match EXPRESSION}``, which is what the expression (RE2), or its first group, finds in that header of
    the request that is forwarded. A header with an empty one is left out."""
    set: Annotated[Values, header_values()] = ()
    """Headers that have this value and no other; as ``add``."""
    responses: ResponseHeaderKeys = ResponseHeaderKeys()


class BodyKeys(Keys):
    """Bodies of the other side that it is sent beside the session description, as SIP-I and locations need."""

    passes: Annotated[tuple[Annotated[str, body_type()], ...], ONE_OR_MANY] = Field(default=(), alias="pass")
    """Media types, such as ``application/isup`` and ``application/pidf+xml``: of the INVITE, of what answers it, of
    INFO and BYE."""


class CauseKeys(Keys):
    """Causes of Q.850 that it uses in its own way. ``reject_codes`` does the same for SIP codes."""

    received: Annotated[Mapping[str, int] | None, causes_instead()] = None
    """By a cause in Reason that it sends, the one that it counts as: for failover, the CDR and the other side."""
    sent: Annotated[Mapping[str, int] | None, causes_instead()] = None
    """By a cause, the one that stands in the Reason that it is sent."""


class NumberFormatKeys(Keys):
    """Form of the numbers that it is sent. Short numbers, ``emergency_numbers`` and names stay as they are."""

    request_uri: Annotated[NumberNotation, choice(NumberNotation)] = NumberNotation.AS_IS
    """The called number in the Request-URI: ``as_is`` as routed, ``e164`` in digits, ``plus_e164`` with a plus sign,
    ``national`` as dialled in ``country``, ``tel`` as a tel URI."""
    from_: Annotated[NumberNotation, choice(NumberNotation)] = Field(default=NumberNotation.AS_IS, alias="from")
    """The calling number in From."""
    to: Annotated[NumberNotation, choice(NumberNotation)] = NumberNotation.AS_IS
    """The called number in To."""
    pai: Annotated[NumberNotation, choice(NumberNotation)] = NumberNotation.AS_IS
    """The calling number in P-Asserted-Identity and Remote-Party-ID."""
    diversion: Annotated[NumberNotation, choice(NumberNotation)] = NumberNotation.AS_IS
    """The numbers in Diversion and History-Info."""
    country: Annotated[str, few_digits()] = ""
    """Country code of its national numbers, such as 49."""
    national_prefix: Annotated[str, few_digits()] = "0"
    """In front of national numbers."""
    international_prefix: Annotated[str, few_digits()] = "00"
    """In front of the country code in numbers as dialled."""
    user_phone: Annotated[bool, switch()] = False
    """``yes`` writes ``user=phone`` into SIP URIs with a number."""

    def _judge(self) -> None:
        forms = (self.request_uri, self.from_, self.to, self.pai, self.diversion)
        if NumberNotation.NATIONAL in forms and not self.country:
            raise KeyProblemError("country", "the country code of national numbers, such as 49")


class CallerFormatKeys(Keys):
    """Form that calling numbers from a customer, or for a vendor, must have. Default: any."""

    form: Annotated[NumberNotation, choice(NumberNotation)] = NumberNotation.AS_IS
    """``e164`` in digits, ``plus_e164`` or ``tel`` with a plus sign, ``national`` with the national prefix; ``as_is``
    any digits."""
    national_prefix: Annotated[str, few_digits()] = "0"
    """In front of national numbers."""
    shortest: Annotated[int, whole(1, 32)] = 7
    """Fewest digits."""
    longest: Annotated[int, whole(1, 32)] = 15
    """Most digits."""
    replacement: Annotated[str, telephone_number()] = ""
    """The calling number of calls that show another one. Default: those of a customer are refused with 403, and a
    vendor is left out."""

    def _judge(self) -> None:
        if self.longest < self.shortest:
            raise KeyProblemError("longest", "at least as many digits as shortest")


class SpokenToKeys(Keys):
    """Names and headers by which a trunk knows the switch."""

    reason: Annotated[ReasonForm, choice(ReasonForm)] = ReasonForm.Q850
    """The Reason headers that it is sent when a call ends: the Q.850 cause, a SIP code, both or none."""
    contact_user: Annotated[str, uri_user()] = ""
    """User part of our Contact. Default: none."""
    contact_host: Annotated[str, uri_host(with_port=True)] = ""
    """Host of our Contact, for peers that want a name there: requests within a call come to that name. Default: the
    address of our socket."""
    user_agent: Annotated[str, product()] = ""
    """Our product in User-Agent and Server. Default: ``sip.server``."""
    headers: HeaderKeys = HeaderKeys()
    bodies: BodyKeys = BodyKeys()
    causes: CauseKeys = CauseKeys()
    caller_format: CallerFormatKeys = CallerFormatKeys()
