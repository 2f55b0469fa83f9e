"""Header rules of a trunk: which headers its messages carry beside those that the switch writes itself.

The rules are data as configured; ``HeaderRules.applied`` changes the header lines of one message. Headers that a
transaction, a dialog, a digest or the body live by cannot be named in a rule.
"""

import re
from collections.abc import Mapping, Sequence
from enum import Enum
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import msgspec

from vosd.base.errors import VosError
from vosd.base.expressions import EXPRESSION_MAX, compiled
from vosd.trunks.causes import TrunkCauses

if TYPE_CHECKING:
    import re2

    from vosd.sip.wire.message import Message

VALUE_MAX: Final = 2_048
"""Longest value that a rule sends; a longer one is left out."""
PASSED_MAX: Final = 32
"""Most header lines of one message that are passed."""
RULES_MAX: Final = 64
"""Most headers of one rule."""
_TREATED_MAX: Final = 256
"""Most names of received headers, as written, of which a rule remembers its treatment: peers choose them."""
RECEIVED_NAME_MAX: Final = 64
"""Longest name of a received header that is passed."""

_TRANSACTION: Final = "it belongs to the transaction"
_DIALOG: Final = "it belongs to the dialog"
_DIGEST: Final = "it proves who a peer is"
_BODY: Final = "it describes the body"
_EXTENSION: Final = "it announces an extension, and the switch would not keep the promise"
_PRODUCT: Final = "user_agent of the gateway says what it is"
_CALLER: Final = "it shows who calls: identity, privacy, diversion and history_info say what a gateway gets of it"

FORBIDDEN: Final[Mapping[str, str]] = {
    **dict.fromkeys(("via", "cseq", "max-forwards", "timestamp", "rack", "rseq", "proxy-require"), _TRANSACTION),
    **dict.fromkeys(
        (
            "from", "to", "call-id", "contact", "route", "record-route", "path", "service-route", "event",
            "subscription-state", "refer-to", "refer-sub", "replaces", "join", "target-dialog", "session-expires",
            "min-se", "min-expires", "expires", "retry-after",
        ),
        _DIALOG,
    ),
    **dict.fromkeys(
        (
            "authorization", "proxy-authorization", "www-authenticate", "proxy-authenticate", "authentication-info",
            "proxy-authentication-info",
        ),
        _DIGEST,
    ),
    **dict.fromkeys(
        ("content-length", "content-type", "content-encoding", "content-disposition", "mime-version"), _BODY
    ),
    **dict.fromkeys(("user-agent", "server"), _PRODUCT),
    **dict.fromkeys(("require", "supported", "unsupported", "allow", "accept", "allow-events"), _EXTENSION),
}  # fmt: skip
"""Headers that no rule may name, by their canonical names, and why."""
_IDENTIFYING: Final = frozenset(
    {
        "p-asserted-identity", "p-preferred-identity", "remote-party-id", "privacy", "diversion", "history-info",
        "identity", "date", "reason",
    }
)  # fmt: skip
"""Headers that are passed by keys of their own; ``*`` and other patterns never mean them."""
_ASSERTING: Final = frozenset({"p-served-user", "p-associated-uri", "p-charge-info", "referred-by"})
"""Further headers that say who calls: a rule may name them, patterns never mean them."""
_CALLERS_OWN: Final = frozenset(
    {
        *_ASSERTING, "p-asserted-identity", "p-preferred-identity", "remote-party-id", "identity", "from", "contact",
        "authorization", "proxy-authorization", "reply-to", "call-info", "organization", "subject", "geolocation",
        "diversion", "history-info", "via", "call-id", "record-route", "user-agent", "in-reply-to",
        "p-access-network-info", "cellular-network-info", "additional-identity",
    }
)  # fmt: skip
"""Headers in which a caller may be recognised: nothing of them is sent to a peer that must not see it (RFC 3323 4.1,
RFC 3325 section 7). Neither is a header whose name begins with P- and that a rule means by a pattern alone,
but P-Early-Media, which shows no one."""
_ONCE: Final = frozenset(
    {
        "date", "in-reply-to", "max-breadth", "organization", "p-early-media", "priority", "referred-by", "reply-to",
        "session-id", "subject",
    }
)  # fmt: skip
"""Headers that a message has once at most: one that is added takes the place of another."""
_NAME: Final = re.compile(r"[A-Za-z0-9.!%_+`'~-]+\Z")
_WRITTEN: Final[Mapping[str, str]] = {
    "call-info": "Call-Info",
    "p-charge-info": "P-Charge-Info",
    "p-asserted-identity": "P-Asserted-Identity",
    "user-to-user": "User-to-User",
    "session-id": "Session-ID",
}
_PLACEHOLDER: Final = re.compile(r"(?:header[ ]+([^\s{}]+)(?:[ ]+match[ ]+(.+))?|([a-z_]+))\Z", re.DOTALL)
FACTS: Final = ("caller", "callee", "caller_in", "callee_in", "account", "customer", "gateway", "call_id")
"""Names of the facts of a call that a value may contain."""


class HeaderRuleError(VosError):
    """A rule that cannot be applied; the message says what was expected."""


class MessageFacts(Protocol):
    """The call of a message, as far as values of rules may contain it."""

    def fact(self, name: str) -> str:
        """Return one of ``FACTS`` as it may be shown to the peer; empty if it is unknown or withheld."""

    def hides_caller(self) -> bool:
        """Return whether the message that is forwarded is of a party that the peer must not see."""


class _Fact(NamedTuple):
    """A fact of the call."""

    name: str


class _Part(NamedTuple):
    """A header of the message that is forwarded, or what an expression finds in it."""

    header: str
    expression: str


def _parsed(text: str) -> tuple[str | _Fact | _Part, ...]:
    """Read a value: text, and placeholders in braces; two braces are one.

    Raises:
        HeaderRuleError: it is no value.
    """
    parts: list[str | _Fact | _Part] = []
    plain, position = "", 0
    while position < len(text):
        character = text[position]
        if text[position : position + 2] in {"{{", "}}"}:
            plain, position = plain + character, position + 2
        elif character == "{":
            end = _end_of(text, position)
            parts += [plain] if plain else []
            parts.append(_placeholder(text[position + 1 : end]))
            plain, position = "", end + 1
        elif character == "}":
            raise HeaderRuleError("a { before each }; }} stands for the character itself")
        else:
            plain, position = plain + character, position + 1
    return (*parts, plain) if plain else tuple(parts)


def _end_of(text: str, begin: int) -> int:
    """Return the position of the brace that closes the one at ``begin``; expressions contain braces in pairs."""
    depth = 0
    for position in range(begin, len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if not depth:
            return position
    raise HeaderRuleError("a } behind each {")


def _placeholder(text: str) -> _Fact | _Part:
    found = _PLACEHOLDER.match(text.strip())
    if found is None:
        raise HeaderRuleError(f"{{header NAME}}, {{header NAME match EXPRESSION}} or one of {_facts_listed()}")
    header, expression, fact = found.groups()
    if header is None:
        if fact not in FACTS:
            raise HeaderRuleError(f"one of {_facts_listed()} in the braces, not {fact!r}")
        return _Fact(fact)
    if not _NAME.match(header):
        raise HeaderRuleError(f"the name of a header behind {{header, not {header!r}")
    if expression is not None:
        _compiled(expression)
    return _Part(_canonical(header), expression or "")


def _facts_listed() -> str:
    return ", ".join(f"{{{name}}}" for name in FACTS)


@lru_cache(maxsize=1_024)
def _compiled(expression: str) -> "re2._Regexp[bytes]":
    """Return an expression of RE2, whose time is linear in the length of the text.

    Raises:
        HeaderRuleError: it is malformed.
    """
    if not expression.isascii() or len(expression) > EXPRESSION_MAX:
        raise HeaderRuleError(f"an expression of at most {EXPRESSION_MAX} ASCII characters behind match")
    try:
        return compiled(expression)
    except ValueError as error:
        raise HeaderRuleError(f"an expression as RE2 has them behind match: {error}") from None


def check_name(name: str) -> str:
    """Return the canonical name of a header that a rule may add, set or remove.

    Raises:
        HeaderRuleError: it is no name of a header, or one that no rule may name.
    """
    if not _NAME.match(name):
        raise HeaderRuleError(f"the name of a header, not {name!r}")
    known = _canonical(name)
    why = FORBIDDEN.get(known)
    if why is not None:
        raise HeaderRuleError(f"a header that rules may name: not {name}, {why}")
    return known


def check_pattern(pattern: str, *, passes: bool, to_caller: bool) -> str:
    """Return the canonical form of a name, or of the beginning of names with ``*`` behind it.

    ``passes``: it is one of ``pass``; ``to_caller``: of responses.

    Raises:
        HeaderRuleError: a rule may not name it.
    """
    if pattern == "*" or (pattern.endswith("*") and _NAME.match(pattern[:-1])):
        return pattern.lower()
    known = check_name(pattern)
    may_connect = to_caller and known in {"p-asserted-identity", "date"}
    if passes and known in _IDENTIFYING and not may_connect:
        raise HeaderRuleError(f"a header that can be passed: not {pattern}, {_CALLER}")
    return known


def check_value(value: str) -> None:
    """Check a value that is added or set; raises HeaderRuleError where it is no value."""
    if not value.isprintable() or not 1 <= len(value) <= VALUE_MAX:
        raise HeaderRuleError(f"1 to {VALUE_MAX} printable characters")
    _parsed(value)


Values = tuple[tuple[str, str], ...]
"""Names of headers as written, each with its value."""


class _Passing(NamedTuple):
    """Treatment of a received header that is passed, by its canonical name."""

    beginning: str
    """Beginning of the line that is sent."""
    own: str
    """Beginning of a line of ours with its name, in lower case and with the line end before."""
    name: str
    is_named: bool
    """Whether the rules name it: then it takes the place of ours."""
    is_once: bool
    """Whether a message has it once at most."""
    is_callers_own: bool
    """Whether the caller may be recognised in it, as far as is known."""


class _Filled(NamedTuple):
    """A header that is sent with a value of its own."""

    name: str
    """Canonical name if other lines of it are left out, else empty."""
    own: str
    """Beginning of such a line, in lower case and with the line end before."""
    beginning: str
    """Beginning of the line that is sent."""
    fact: str
    """The fact that is its value; empty = ``parts`` make it."""
    parts: tuple[str | _Fact | _Part, ...]


class HeaderRules(msgspec.Struct, frozen=True, dict=True):
    """The rules for the requests, or for the responses, that one trunk is sent.

    They apply in the order of the fields. Names are canonical in ``passes`` and ``removes``, and as written elsewhere.
    """

    passes: tuple[str, ...] = ()
    """Headers of the message that is forwarded; a ``*`` at the end stands for any rest."""
    removes: tuple[str, ...] = ()
    sets: Values = ()
    adds: Values = ()

    @cached_property
    def are_none(self) -> bool:
        """Whether no header is changed."""
        return self == HeaderRules()

    @cached_property
    def _filled(self) -> tuple[_Filled, ...]:
        return tuple(
            _filled(name, value, is_set=is_set)
            for is_set, values in ((True, self.sets), (False, self.adds))
            for name, value in values
        )

    @cached_property
    def _passed(self) -> tuple[frozenset[str], tuple[str, ...]]:
        """Names, and beginnings of names, that are passed."""
        names = frozenset(name for name in self.passes if not name.endswith("*"))
        return names, tuple(name[:-1] for name in self.passes if name.endswith("*"))

    @cached_property
    def _removed_beginnings(self) -> tuple[str, ...]:
        """Beginnings of lines of ours that may be left out, in lower case and with the line end before."""
        return tuple(f"\n{name[:-1]}" if name.endswith("*") else f"\n{name}:" for name in self.removes)

    @cached_property
    def _treated(self) -> dict[str, _Passing]:
        """Received headers that are passed, by their canonical names, as far as they have come; see ``_left``."""
        return {}

    @cached_property
    def _left(self) -> set[str]:
        """Names of received headers that are not passed; both have at most ``_TREATED_MAX`` together."""
        return set()

    def _treatment(self, name: str) -> _Passing | None:
        """Return the treatment of a received header by its canonical name; None = it is not passed."""
        if len(name) > RECEIVED_NAME_MAX:
            return None
        names, beginnings = self._passed
        is_named = name in names
        may_be_meant = name not in FORBIDDEN and name not in _IDENTIFYING and name not in _ASSERTING
        if len(self._treated) + len(self._left) >= _TREATED_MAX:
            self._treated.clear()
            self._left.clear()
        if (
            not _NAME.match(name)  # "\u0131dentity" is none of FORBIDDEN, but its capital is "I"
            or not (is_named or (may_be_meant and name.startswith(beginnings)))
            or _is_one_of(name, self.removes)
        ):
            self._left.add(name)
            return None
        is_unknown = not is_named and name.startswith("p-") and name != "p-early-media"
        is_once, is_callers_own = name in _ONCE, is_unknown or name in _CALLERS_OWN
        passing = _Passing(f"{_as_written(name)}: ", f"\n{name}:", name, is_named, is_once, is_callers_own)
        self._treated[name] = passing
        return passing

    def passes_header(self, name: str) -> bool:
        """Return whether a header of the message that is forwarded is passed, by its canonical name."""
        names, beginnings = self._passed
        return (name in names or name.startswith(beginnings)) and not _is_one_of(name, self.removes)

    def applied(self, headers: str, received: "Message | None", facts: MessageFacts) -> str:
        """Return the header lines of a message, changed; ``received`` is the message that it forwards, if any."""
        lowered = f"\n{headers.lower()}"  # and, behind it, the beginnings of the lines that are added
        for beginning in self._removed_beginnings:
            if beginning in lowered:
                headers = "".join([line for line in _lines(headers) if not _is_one_of(_name_of(line), self.removes)])
                lowered = f"\n{headers.lower()}"
                break
        if received is not None and self.passes and not self._left.issuperset(received.names):
            headers, lowered = self._with_passed(headers, lowered, received, facts)
        for name, own, beginning, fact, parts in self._filled:
            value = facts.fact(fact) if fact else _value(parts, received, facts)
            if not value or len(value) > VALUE_MAX or not value.isprintable():
                continue
            if name and own in lowered:
                headers = without(headers, name)
            headers += f"{beginning}{value}\r\n"
            lowered += own
        return headers

    def _with_passed(self, headers: str, lowered: str, received: "Message", facts: MessageFacts) -> tuple[str, str]:
        """Return both texts of ``applied`` with the headers that are passed."""
        treated, left, lines, added, count = self._treated, self._left, "", "", 0
        for written, text in received.listed():
            if written in left:
                continue
            passing = treated.get(written) or self._treatment(written)
            value = text.strip()
            if passing is None or not value or len(value) > VALUE_MAX or not value.isprintable():
                continue
            beginning, own, name, is_named, is_once, is_callers_own = passing
            if is_callers_own and facts.hides_caller():
                continue
            if own in lowered:
                if not is_named:
                    continue  # a pattern means no header that the switch has one of its own of
                headers = without(headers, name)
                lowered = f"\n{headers.lower()}"
            if is_once and own in added:
                continue
            lines += f"{beginning}{value}\r\n"
            added += own
            count += 1
            if count == PASSED_MAX:
                break
        return headers + lines, lowered + added

    def explained(self, headers: str, received: "Message | None", facts: MessageFacts) -> list[tuple[str, str]]:
        """Return what each rule does to the header lines of a message: the rule, and the line that it concerns."""
        passed = HeaderRules(self.passes).applied(headers, received, facts)
        done = [("pass", line) for line in _added(headers, passed)]
        gone = [line for line in _lines(passed) if _is_one_of(_name_of(line), self.removes)]
        done += [("remove", line.rstrip("\r\n")) for line in gone]
        for name, _, beginning, _, parts in self._filled:
            value = _value(parts, received, facts)
            rule = "set" if name else "add"
            done.append((rule, beginning + value if value else f"{beginning[:-2]} is left out: its value is empty"))
        return done


class TrunkHeaders(msgspec.Struct, frozen=True):
    """The rules of one trunk: for the requests and for the responses that it is sent."""

    requests: HeaderRules = HeaderRules()
    responses: HeaderRules = HeaderRules()


class SessionIdUse(Enum):
    """The Session-ID that a trunk is sent (RFC 7989)."""

    OFF = "off"
    PASS = "pass"  # noqa: S105 - what is done, no secret
    MAKE = "make"


class SentAs(msgspec.Struct, frozen=True, dict=True):
    """The name and the headers by which a trunk knows the switch, and bodies, where they are not the usual ones."""

    contact_user: str = ""
    contact_host: str = ""
    user_agent: str = ""
    headers: TrunkHeaders | None = None
    bodies: frozenset[str] = frozenset()
    """Types of bodies that it is sent beside the session description."""
    session_id: SessionIdUse = SessionIdUse.OFF
    causes: TrunkCauses | None = None
    """The causes of Q.850 that it uses; None = those of the standard."""
    shows_connected: bool = False
    """Whether it is shown the number of the other side in answers, and when that changes (RFC 4916)."""

    @cached_property
    def has_only_rules(self) -> bool:
        """Whether header rules are all that is not usual."""
        return self == SentAs(headers=self.headers)

    @cached_property
    def names_us(self) -> bool:
        """Whether Contact, or User-Agent and Server, are other than usual."""
        return bool(self.contact_user or self.contact_host or self.user_agent)

    def named(self, headers: str) -> str:
        """Return header lines with Contact, User-Agent and Server as this trunk is to see them."""
        if self.user_agent:
            headers = _AGENT.sub(lambda found: f"{found[1]}: {self.user_agent}\r\n", headers, count=1)
        if self.contact_user or self.contact_host:
            headers = _OWN_CONTACT.sub(self._contact, headers, count=1)
        return headers

    def _contact(self, found: "re.Match[str]") -> str:
        user, address, port, rest = found.groups()
        user = f"{self.contact_user}@" if self.contact_user else user or ""
        host = self.contact_host or address
        has_port = ":" in self.contact_host.rpartition("]")[2]
        return f"Contact: <sip:{user}{host}{'' if has_port else port or ''}{rest}>"


_AGENT: Final = re.compile(r"^(User-Agent|Server): [^\r\n]*\r\n", re.MULTILINE)
_OWN_CONTACT: Final = re.compile(r"^Contact: <sip:([^@>\s]+@)?(\[[^\]>]*\]|[^:;>]+)(:\d+)?([^>]*)>", re.MULTILINE)


def without(headers: str, name: str) -> str:
    """Return header lines without those of a canonical name."""
    if f"\n{name}:" not in f"\n{headers.lower()}":
        return headers
    return "".join([line for line in _lines(headers) if _name_of(line) != name])


def _value(parts: Sequence[str | _Fact | _Part], received: "Message | None", facts: MessageFacts) -> str:
    """Return a filled value; empty if a placeholder is, or if it must not be sent."""
    text = ""
    for part in parts:
        if isinstance(part, str):
            text += part
            continue
        found = facts.fact(part.name) if isinstance(part, _Fact) else _found(part, received, facts)
        if not found:
            return ""
        text += found
    return text if len(text) <= VALUE_MAX and text.isprintable() else ""


def _filled(name: str, value: str, *, is_set: bool) -> _Filled:
    known, parts = _canonical(name), _parsed(value)
    replaced = known if is_set or known in _ONCE else ""
    fact = parts[0].name if len(parts) == 1 and isinstance(parts[0], _Fact) else ""
    return _Filled(replaced, f"\n{known}:", f"{_in_full(name)}: ", fact, parts)


def _found(part: _Part, received: "Message | None", facts: MessageFacts) -> str:
    value = None if received is None else received.header(part.header)
    if value and part.header in _CALLERS_OWN and facts.hides_caller():
        return ""
    if not value or not part.expression or len(value) > VALUE_MAX:
        return value or ""
    return _searched(part.expression, value)


@lru_cache(maxsize=256)
def _searched(expression: str, value: str) -> str:
    """Return the first group of an expression as it is found in a value, or all of what is found.

    Kept, because headers that a rule looks into mostly name one of a few trunks or customers.
    """
    fitting = _compiled(expression)
    found = fitting.search(value.encode("utf-8", "surrogateescape"))
    group = 1 if fitting.groups else 0
    return "" if found is None else (found.group(group) or b"").decode("utf-8", "surrogateescape")


def _lines(headers: str) -> list[str]:
    return [f"{line}\r\n" for line in headers.split("\r\n")[:-1]]


def _added(before: str, after: str) -> list[str]:
    known = _lines(before)
    return [line.rstrip("\r\n") for line in _lines(after) if line not in known]


@lru_cache(maxsize=1_024)
def _canonical(written: str) -> str:
    """Return the canonical name of a header; imported when it is needed: most that know trunks need nothing of SIP."""
    from vosd.sip.headers.names import canonical

    return canonical(written)


def _name_of(line: str) -> str:
    return _canonical(line.partition(":")[0])


def _is_one_of(name: str, patterns: Sequence[str]) -> bool:
    """Return whether a rule names a header; patterns never mean those that no rule may name."""
    if name in patterns:
        return True
    return name not in FORBIDDEN and any(name.startswith(each[:-1]) for each in patterns if each.endswith("*"))


def _in_full(written: str) -> str:
    """Return a name as the operator wrote it, but a compact form in full: lines are found by their full names."""
    known = _canonical(written)
    return written if written.lower() == known else _as_written(known)


@lru_cache(maxsize=1_024)
def _as_written(name: str) -> str:
    return _WRITTEN.get(name) or "-".join(part.capitalize() for part in name.split("-"))
