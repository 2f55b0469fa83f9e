"""Answers of name servers are read within bounds, whatever they hold."""

import struct
import time

import dns.flags
import dns.message
import dns.rrset
import pytest
from hypothesis import given, strategies as st

from vosd.net.dns_answer import (
    CHAIN_MAX,
    MESSAGE_BYTES_MAX,
    NOTHING_TTL_S,
    RECORDS_MAX,
    UnusableAnswerError,
    answers,
    is_truncated,
    read_answer,
)
from vosd.sip.locate import DnsAnswer, DnsQuestion, Naptr, RecordType, Srv

A = DnsQuestion(RecordType.A, "sip.example.net")


def response(question: DnsQuestion, *records: str, authority: str = "", rcode: int = 0) -> bytes:
    """Make what a server answers; a record is ``name ttl type data``."""
    message = dns.message.make_response(dns.message.make_query(question.name, question.kind.value))
    message.set_rcode(rcode)
    message.answer += map(rrset, records)
    message.authority += [rrset(authority)] if authority else []
    return message.to_wire(max_size=65_535)


def rrset(record: str) -> dns.rrset.RRset:
    name, ttl, kind, data = record.split(maxsplit=3)
    return dns.rrset.from_text(f"{name}.", int(ttl), "IN", kind, *data.split(" | "))


@pytest.mark.parametrize(
    ("kind", "data", "record"),
    [
        (RecordType.A, "192.0.2.1", "192.0.2.1"),
        (RecordType.AAAA, "2001:db8::1", "2001:db8::1"),
        (RecordType.SRV, "10 20 5061 Host.Example.NET.", Srv(10, 20, 5061, "Host.Example.NET")),
        (RecordType.SRV, "0 0 0 .", Srv(0, 0, 0, ".")),
        (
            RecordType.NAPTR,
            '10 20 "s" "SIP+D2U" "" _sip._udp.example.net.',
            Naptr(10, 20, "s", "SIP+D2U", "_sip._udp.example.net"),
        ),
    ],
)
def test_each_kind_of_record_is_read(kind, data, record):
    question = DnsQuestion(kind, "sip.example.net")
    assert read_answer(response(question, f"sip.example.net 60 {kind.value} {data}"), question) == DnsAnswer(
        (record,), 60
    )


def test_aliases_are_followed_and_the_shortest_ttl_of_the_way_holds():
    wire = response(
        A,
        "sip.example.net 30 CNAME edge.example.net.",
        "edge.example.net 90 CNAME node.example.net.",
        "node.example.net 60 A 192.0.2.1 | 192.0.2.2",
    )
    answer = read_answer(wire, A)
    assert (sorted(answer.records), answer.ttl_s) == (["192.0.2.1", "192.0.2.2"], 30)


def test_records_of_other_names_are_no_answer():
    wire = response(A, "else.example.net 60 A 192.0.2.66")
    assert read_answer(wire, A) == DnsAnswer((), NOTHING_TTL_S)


@pytest.mark.parametrize("rcode", [dns.rcode.NOERROR, dns.rcode.NXDOMAIN])
def test_a_negative_answer_is_cached_as_long_as_the_zone_says(rcode):
    soa = "example.net 900 SOA ns.example. admin.example. 1 3600 600 86400 120"
    assert read_answer(response(A, authority=soa, rcode=rcode), A) == DnsAnswer((), 120)


def test_a_server_that_refers_to_others_has_not_said_that_there_are_no_records():
    """Servers of a zone that serve no clients answer so for names of other zones."""
    referral = response(A, authority="example.net 900 NS ns.example.")
    with pytest.raises(UnusableAnswerError, match="referral"):
        read_answer(referral, A)
    for flag in (0x0400, 0x0080):  # it has the zone; it asks others
        flags = int.from_bytes(referral[2:4]) | flag
        assert read_answer(referral[:2] + flags.to_bytes(2) + referral[4:], A) == DnsAnswer((), NOTHING_TTL_S)
    missing = response(A, authority="example.net 900 NS ns.example.", rcode=dns.rcode.NXDOMAIN)
    assert read_answer(missing, A) == DnsAnswer((), NOTHING_TTL_S), "it says that there is no such name"


def test_a_server_that_has_an_alias_alone_has_not_said_that_there_are_no_records():
    """NSD answers so where it has the zone of an alias, and not that of its name: the next server may know that."""
    alias = response(A, "sip.example.net 30 CNAME edge.example.org.")
    flags = int.from_bytes(alias[2:4])
    has_zone, asks_others = (alias[:2] + (flags | each).to_bytes(2) + alias[4:] for each in (0x0400, 0x0480))
    with pytest.raises(UnusableAnswerError, match="an alias of another zone"):
        read_answer(has_zone, A)
    assert read_answer(asks_others, A) == DnsAnswer((), 30)
    soa = "example.org 900 SOA ns.example. admin.example. 1 3600 600 86400 20"
    both = response(A, "sip.example.net 30 CNAME edge.example.org.", authority=soa)
    assert read_answer(both[:2] + (flags | 0x0400).to_bytes(2) + both[4:], A) == DnsAnswer((), 20)


def test_a_server_without_naptr_support_has_no_such_records():
    question = DnsQuestion(RecordType.NAPTR, "example.net")
    assert read_answer(response(question, rcode=dns.rcode.NOTIMP), question) == DnsAnswer((), NOTHING_TTL_S)


@pytest.mark.parametrize(
    ("rcode", "says"), [(dns.rcode.SERVFAIL, "SERVFAIL"), (dns.rcode.REFUSED, "REFUSED"), (dns.rcode.NOTIMP, "NOTIMP")]
)
def test_a_server_that_failed_is_named_for_it(rcode, says):
    with pytest.raises(UnusableAnswerError, match=says):
        read_answer(response(A, rcode=rcode), A)


def test_the_answer_to_another_question_is_refused():
    with pytest.raises(UnusableAnswerError, match="another question"):
        read_answer(response(A, "sip.example.net 60 A 192.0.2.1"), DnsQuestion(RecordType.A, "sip.example.org"))


def test_an_endless_chain_of_aliases_is_refused():
    loop = response(A, "sip.example.net 60 CNAME b.example.net.", "b.example.net 60 CNAME sip.example.net.")
    with pytest.raises(UnusableAnswerError, match=f"more than {CHAIN_MAX} aliases"):
        read_answer(loop, A)


def test_an_answer_of_thousands_of_records_is_refused_unread():
    many = " | ".join(f"10.0.{i // 256}.{i % 256}" for i in range(3_000))
    with pytest.raises(UnusableAnswerError, match=f"more than {MESSAGE_BYTES_MAX} bytes"):
        read_answer(response(A, f"sip.example.net 60 A {many}"), A)
    few_bytes = " | ".join(f"10.0.0.{i}" for i in range(RECORDS_MAX + 1))
    with pytest.raises(UnusableAnswerError, match=f"more than {RECORDS_MAX} records"):
        read_answer(response(A, f"sip.example.net 60 A {few_bytes}"), A)
    servers = " | ".join(f"ns{i}.example.net." for i in range(RECORDS_MAX))
    with pytest.raises(UnusableAnswerError, match=f"more than {RECORDS_MAX} records"):
        read_answer(response(A, "sip.example.net 60 A 10.0.0.1", authority=f"example.net 60 NS {servers}"), A)


def deep_names(records: int) -> tuple[bytes, DnsQuestion]:
    """Make an answer whose every record has two names of 126 labels, by compression (RFC 1035 section 4.1.4)."""
    question = DnsQuestion(RecordType.SRV, "a.example")
    wire = struct.pack("!HHHHHH", 1, 0x8180, 1, records, 0, 0) + b"\1a\7example\0" + struct.pack("!HH", 33, 1)
    deep = len(wire)
    pointer = struct.pack("!H", 0xC000 | deep)
    for index in range(records):
        owner = b"\1a" * 126 + b"\0" if index == 0 else pointer
        data = struct.pack("!HHH", index, 1, 5060) + pointer
        wire += owner + struct.pack("!HHIH", 33, 1, 60, len(data)) + data
    return wire, question


def test_names_of_a_hundred_labels_do_not_hold_the_loop_up():
    wire, question = deep_names(RECORDS_MAX)

    def seconds() -> float:
        began = time.process_time()
        with pytest.raises(UnusableAnswerError, match="labels"):
            read_answer(wire, question)
        return time.process_time() - began

    assert any(seconds() < 0.01 for _ in range(200))


def test_a_target_of_a_hundred_labels_is_no_target():
    question = DnsQuestion(RecordType.SRV, "sip.example.net")
    with pytest.raises(UnusableAnswerError, match="labels"):
        read_answer(response(question, f"sip.example.net 60 SRV 1 1 5060 {'a.' * 100}"), question)


def test_the_largest_answer_that_is_read_takes_milliseconds():
    name = ".".join(["a" * 6] * 28)
    question = DnsQuestion(RecordType.SRV, name)
    targets = " | ".join(f"{i} 1 5060 {'b' * 20}{i}.example." for i in range(RECORDS_MAX))
    wire = response(question, f"{name} 60 SRV {targets}")
    assert len(wire) < MESSAGE_BYTES_MAX
    read_answer(wire, question)

    def seconds() -> float:
        began = time.process_time()
        assert len(read_answer(wire, question).records) == RECORDS_MAX
        return time.process_time() - began

    assert any(seconds() < 0.02 for _ in range(200))


def test_only_a_response_with_the_identifier_of_the_query_can_be_its_answer():
    query = dns.message.make_query("sip.example.net", "A")
    wire = query.to_wire()
    right = dns.message.make_response(query).to_wire()
    assert answers(right, wire)
    assert not answers(wire, wire)
    assert not answers(bytes([right[0] ^ 1]) + right[1:], wire)
    assert not answers(right[:11], wire)


def test_truncation_is_seen_before_anything_is_read():
    message = dns.message.make_response(dns.message.make_query("sip.example.net", "A"))
    assert not is_truncated(message.to_wire())
    message.flags |= dns.flags.TC
    assert is_truncated(message.to_wire())


GOOD = response(
    DnsQuestion(RecordType.SRV, "_sip._udp.example.net"),
    "_sip._udp.example.net 60 CNAME pool.example.net.",
    "pool.example.net 60 SRV 1 2 5060 a.example.net. | 2 2 5060 b.example.net.",
)


@given(st.lists(st.tuples(st.integers(12, len(GOOD) - 1), st.integers(0, 255)), max_size=8), st.integers(0, len(GOOD)))
def test_no_broken_answer_raises_anything_but_the_declared_error(changes, length):
    wire = bytearray(GOOD)
    for place, value in changes:
        wire[place] = value
    question = DnsQuestion(RecordType.SRV, "_sip._udp.example.net")
    try:
        answer = read_answer(bytes(wire[:length]) if length >= 12 else bytes(wire), question)
    except UnusableAnswerError:
        return
    assert all(isinstance(record, Srv) for record in answer.records)
