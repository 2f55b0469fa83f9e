"""Read responses of name servers, within limits: they are foreign input and are parsed on the event loop.

dnspython parses single names and records. It is not given the whole message: 3 KB of names with a hundred labels each
keep its message parser busy for a quarter of a second. Owns no socket.
"""

from typing import Final

import dns.exception
import dns.flags
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.wire
from dns.rdata import Rdata
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.CNAME import CNAME
from dns.rdtypes.ANY.NS import NS
from dns.rdtypes.ANY.SOA import SOA
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA
from dns.rdtypes.IN.NAPTR import NAPTR
from dns.rdtypes.IN.SRV import SRV

from vosd.sip.locate import DnsAnswer, DnsQuestion, Naptr, NoAnswerError, Record, Srv

MESSAGE_BYTES_MAX: Final = 4_096
RECORDS_MAX: Final = 64
LABELS_MAX: Final = 32
CHAIN_MAX: Final = 8
"""Most CNAMEs between a name and its records."""
NOTHING_TTL_S: Final = 300
"""Longest time for which a negative answer is cached, and the time where the zone gives none (RFC 2308 section 5)."""
TTL_MAX_S: Final = 2**31 - 1
"""A larger one counts as 0 (RFC 2181 section 8)."""

_HEADER_BYTES: Final = 12
_KNOWS: Final = dns.flags.AA | dns.flags.RA
"""Flags of a server that has the zone itself, or asks others."""
_READ: Final = frozenset({
    RdataType.A, RdataType.AAAA, RdataType.CNAME, RdataType.NAPTR, RdataType.NS, RdataType.SOA, RdataType.SRV,
})  # fmt: skip

Found = tuple[dns.name.Name, int, Rdata]
"""Owner, TTL in seconds, record."""


class UnusableAnswerError(NoAnswerError):
    """A server's response is an error, empty of meaning, or exceeds the limits."""


def answers(wire: bytes, query: bytes) -> bool:
    """Return whether a message can be the response to ``query``: same identifier, response bit set."""
    return len(wire) >= _HEADER_BYTES and wire[:2] == query[:2] and bool(wire[2] & 0x80)


def is_truncated(wire: bytes) -> bool:
    """Return whether a response was truncated to fit a datagram (TC bit)."""
    return bool(wire[2] & 0x02)


def knows_no_edns(wire: bytes) -> bool:
    """Return whether a server does not understand the query, as those that know no EDNS say (RFC 6891 section 7)."""
    return wire[3] & 0x0F == dns.rcode.FORMERR


def read_answer(wire: bytes, question: DnsQuestion) -> DnsAnswer:
    """Read a response to ``question``; a name without such records gives an answer without records.

    Raises:
        UnusableAnswerError: the server has failed, or the response is broken, to another question, or too large.
    """
    if len(wire) > MESSAGE_BYTES_MAX:
        raise UnusableAnswerError(f"more than {MESSAGE_BYTES_MAX} bytes")
    try:
        return _Reader(wire, question).answer()
    except dns.exception.DNSException as error:
        raise UnusableAnswerError(f"broken ({type(error).__name__})") from error


class _Reader:
    """Parser of one response, section by section."""

    def __init__(self, wire: bytes, question: DnsQuestion) -> None:
        self._parser = dns.wire.Parser(wire)
        self._name = dns.name.from_text(question.name)
        self._type = RdataType[question.kind.value]

    def answer(self) -> DnsAnswer:
        _, flags, questions, answers, authorities, _ = self._parser.get_struct("!HHHHHH")
        rcode = dns.rcode.from_flags(flags, 0)
        if rcode == dns.rcode.NOTIMP and self._type == RdataType.NAPTR:
            return DnsAnswer((), NOTHING_TTL_S)  # a server too old to know NAPTR has none
        if rcode not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
            raise UnusableAnswerError(dns.rcode.to_text(rcode))
        if answers + authorities > RECORDS_MAX:
            raise UnusableAnswerError(f"more than {RECORDS_MAX} records")
        self._check_question(questions)
        found = self._section(answers)
        owner, ttls = self._follow_aliases(found)
        records = []
        for name, ttl_s, rdata in found:
            if name == owner and rdata.rdtype == self._type:
                records.append(_record(rdata))
                ttls.append(ttl_s)
        if not records:
            known = flags & _KNOWS if rcode == dns.rcode.NOERROR else None
            ttls += [NOTHING_TTL_S, *self._negative_ttls(authorities, known, is_alias=owner != self._name)]
        return DnsAnswer(tuple(records), min(ttls))

    def _check_question(self, count: int) -> None:
        asked = (self._type, dns.rdataclass.IN)
        if count != 1 or self._get_name() != self._name or self._parser.get_struct("!HH") != asked:
            raise UnusableAnswerError("the answer to another question")

    def _section(self, count: int) -> list[Found]:
        """Read the records of one section, of the types in ``_READ``."""
        parser, found = self._parser, []
        for _ in range(count):
            name = self._get_name()
            rdtype, rdclass, ttl_s, length = parser.get_struct("!HHIH")
            with parser.restrict_to(length):
                if rdclass == dns.rdataclass.IN and rdtype in _READ:
                    rdata = dns.rdata.from_wire_parser(rdclass, rdtype, parser)
                    found.append((name, ttl_s if ttl_s <= TTL_MAX_S else 0, rdata))
                else:
                    parser.get_remaining()
        return found

    def _follow_aliases(self, found: list[Found]) -> tuple[dns.name.Name, list[int]]:
        """Return the name at the end of the CNAME chain, and the TTLs of its CNAMEs."""
        aliases = {name: (ttl_s, rdata.target) for name, ttl_s, rdata in found if isinstance(rdata, CNAME)}
        owner = self._name
        ttls: list[int] = []
        while owner in aliases:
            if len(ttls) == CHAIN_MAX:
                raise UnusableAnswerError(f"more than {CHAIN_MAX} aliases")
            ttl_s, owner = aliases[owner]
            ttls.append(ttl_s)
        return owner, ttls

    def _negative_ttls(self, authorities: int, known: int | None, *, is_alias: bool) -> list[int]:
        """Return the TTLs for a negative answer, from the SOA records (RFC 2308 section 5).

        Names of other servers without an SOA are a referral (section 2.2) where the server neither has the zone nor
        asks others for its clients: the next server may know the records. So it may where a server has an alias alone,
        of a name in a zone that it does not have.

        ``known`` has the flags of ``_KNOWS``; None = there is no such name, which every server may say (section 2.1).
        """
        found = self._section(authorities)
        ttls = [min(ttl_s, rdata.minimum) for _, ttl_s, rdata in found if isinstance(rdata, SOA)]
        if known == 0 and not ttls and any(isinstance(rdata, NS) for *_, rdata in found):
            raise UnusableAnswerError("a referral: the server does not look up names for others")
        if known == dns.flags.AA and not ttls and is_alias:
            raise UnusableAnswerError("an alias of another zone: the server does not look up names for others")
        return ttls

    def _get_name(self) -> dns.name.Name:
        name = self._parser.get_name(decompress=True)
        if len(name) > LABELS_MAX:
            raise UnusableAnswerError(f"a name of more than {LABELS_MAX} labels")
        return name


def _record(rdata: Rdata) -> Record:
    if isinstance(rdata, SRV):
        return Srv(rdata.priority, rdata.weight, rdata.port, _text(rdata.target))
    if isinstance(rdata, NAPTR):
        flags, service = rdata.flags.decode("ascii", "replace"), rdata.service.decode("ascii", "replace")
        return Naptr(rdata.order, rdata.preference, flags, service, _text(rdata.replacement))
    assert isinstance(rdata, A | AAAA), "nothing else is asked for"
    return str(rdata.address)


def _text(name: dns.name.Name) -> str:
    if len(name) > LABELS_MAX:
        raise UnusableAnswerError(f"a name of more than {LABELS_MAX} labels")
    return name.to_text(omit_final_dot=len(name) > 1)
