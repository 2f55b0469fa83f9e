"""Where a domain's SIP servers are: what is asked in which order, and what the answers mean (RFC 3263, RFC 2782)."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given, strategies as st

from vosd.sip.flows import Hop
from vosd.sip.locate import (
    ADDRESSES_MAX,
    SERVERS_MAX,
    DnsAnswer,
    DnsQuestion,
    Naptr,
    RecordType,
    SipServer,
    Srv,
    Survey,
    UsableTransports,
    in_order,
    survey,
)

DOMAIN = Hop("example.net", None, None)
EVERYTHING = UsableTransports(dict.fromkeys(("udp", "tcp", "tls"), (RecordType.A, RecordType.AAAA)))
UDP = UsableTransports({"udp": (RecordType.A,)})


class Dns:
    """DNS records by question; others do not exist. ``None`` instead of records: no server answers."""

    def __init__(self) -> None:
        self.records: dict[DnsQuestion, tuple | None] = {}
        self.ttl_s = 300
        self.asked: list[str] = []

    def put(self, kind: RecordType, name: str, *records: object) -> "Dns":
        self.records[DnsQuestion(kind, name)] = records
        return self

    def breaks(self, kind: RecordType, name: str) -> "Dns":
        self.records[DnsQuestion(kind, name)] = None
        return self

    def survey(self, sought: Hop, means: UsableTransports = EVERYTHING) -> Survey:
        known = {}
        while (found := survey(sought, means, known)).missing:
            for question in found.missing:
                assert question not in known
                self.asked.append(f"{question.kind.value} {question.name}")
                records = self.records.get(question, ())
                known[question] = None if records is None else DnsAnswer(records, self.ttl_s)
        return found

    def hops(self, sought: Hop = DOMAIN, means: UsableTransports = EVERYTHING) -> list[tuple]:
        return [tuple(hop) for hop in in_order(self.survey(sought, means).servers, lambda _: 0)]


def naptr(service: str, replacement: str, *, order: int = 10, preference: int = 10, flags: str = "s") -> Naptr:
    return Naptr(order, preference, flags, service, replacement)


def test_naptr_leads_to_srv_and_srv_to_addresses():
    dns = (
        Dns()
        .put(RecordType.NAPTR, "example.net", naptr("SIP+D2T", "_sip._tcp.pool.example.net"))
        .put(RecordType.SRV, "_sip._tcp.pool.example.net", Srv(1, 0, 5070, "a.example.net"))
        .put(RecordType.A, "a.example.net", "192.0.2.1")
    )
    assert dns.hops() == [("192.0.2.1", 5070, "tcp")]
    assert dns.asked == ["NAPTR example.net", "SRV _sip._tcp.pool.example.net", "A a.example.net", "AAAA a.example.net"]


def test_the_lowest_supported_order_wins_and_preference_decides_within_it():
    dns = (
        Dns()
        .put(
            RecordType.NAPTR,
            "example.net",
            naptr("SIPS+D2T", "_sips._tcp.example.net", order=10, preference=50),
            naptr("sip+d2u", "_sip._udp.example.net", order=10, preference=20),
            naptr("SIP+D2T", "_sip._tcp.example.net", order=20, preference=1),
            naptr("SIP+D2S", "_sip._sctp.example.net", order=5),
            naptr("SIP+D2U", "", order=1, flags="u"),
            naptr("E2U+sip", "_sip._udp.else.example", order=1),
        )
        .put(RecordType.SRV, "_sip._udp.example.net", Srv(1, 0, 5060, "u.example.net"))
        .put(RecordType.A, "u.example.net", "192.0.2.1")
    )
    assert dns.hops() == [("192.0.2.1", 5060, "udp")]
    assert "SRV _sips._tcp.example.net" not in dns.asked


def test_a_service_without_an_address_gives_way_to_the_next_preference():
    dns = (
        Dns()
        .put(
            RecordType.NAPTR,
            "example.net",
            naptr("SIP+D2U", "_sip._udp.example.net", preference=1),
            naptr("SIPS+D2T", "_sips._tcp.example.net", preference=2),
        )
        .put(RecordType.SRV, "_sip._udp.example.net", Srv(1, 0, 5060, "gone.example.net"))
        .put(RecordType.SRV, "_sips._tcp.example.net", Srv(1, 0, 5061, "b.example.net"))
        .put(RecordType.A, "b.example.net", "192.0.2.2")
    )
    assert dns.hops() == [("192.0.2.2", 5061, "tls")]


def test_a_domain_with_unsupported_transports_only_has_no_server():
    dns = (
        Dns()
        .put(RecordType.NAPTR, "example.net", naptr("SIPS+D2T", "_sips._tcp.example.net"))
        .put(RecordType.A, "example.net", "192.0.2.1")
    )
    assert dns.hops(means=UDP) == []
    assert dns.asked == ["NAPTR example.net"]


def test_without_naptr_the_first_transport_with_srv_records_is_taken():
    dns = (
        Dns()
        .put(RecordType.SRV, "_sip._tcp.example.net", Srv(1, 0, 5060, "t.example.net"))
        .put(RecordType.SRV, "_sips._tcp.example.net", Srv(1, 0, 5061, "s.example.net"))
        .put(RecordType.A, "t.example.net", "192.0.2.1")
    )
    assert dns.hops() == [("192.0.2.1", 5060, "tcp")]
    assert "SRV _sips._tcp.example.net" not in dns.asked


def test_without_srv_the_name_itself_is_the_server_and_the_transport_stays_open():
    dns = Dns().put(RecordType.A, "example.net", "192.0.2.1").put(RecordType.AAAA, "example.net", "2001:db8::1")
    assert dns.hops() == [("192.0.2.1", 5060, None), ("2001:db8::1", 5060, None)]
    assert dns.asked == [
        "NAPTR example.net",
        "SRV _sip._udp.example.net",
        "SRV _sip._tcp.example.net",
        "SRV _sips._tcp.example.net",
        "A example.net",
        "AAAA example.net",
    ]


def test_naptr_without_srv_settles_the_transport_of_the_name_itself():
    dns = (
        Dns()
        .put(RecordType.NAPTR, "example.net", naptr("SIPS+D2T", "_sips._tcp.example.net"))
        .put(RecordType.A, "example.net", "192.0.2.1")
    )
    assert dns.hops() == [("192.0.2.1", 5061, "tls")]


def test_a_port_is_obeyed_without_asking_for_services():
    dns = Dns().put(RecordType.A, "example.net", "192.0.2.1")
    assert dns.hops(DOMAIN._replace(port=5080)) == [("192.0.2.1", 5080, None)]
    assert dns.hops(Hop("example.net", 5080, "tcp")) == [("192.0.2.1", 5080, "tcp")]
    assert {question.split()[0] for question in dns.asked} == {"A", "AAAA"}


@pytest.mark.parametrize(
    ("transport", "srv_name", "port"),
    [("udp", "_sip._udp", 5060), ("tcp", "_sip._tcp", 5060), ("tls", "_sips._tcp", 5061)],
)
def test_a_given_transport_asks_for_its_service_only(transport, srv_name, port):
    sought = DOMAIN._replace(transport=transport)
    dns = Dns().put(RecordType.A, "example.net", "192.0.2.1")
    assert dns.hops(sought) == [("192.0.2.1", port, transport)]
    assert dns.asked[0] == f"SRV {srv_name}.example.net"

    dns.put(RecordType.SRV, f"{srv_name}.example.net", Srv(1, 0, 5555, "a.example.net"))
    dns.put(RecordType.A, "a.example.net", "192.0.2.9")
    assert dns.hops(sought) == [("192.0.2.9", 5555, transport)]


def test_a_transport_without_socket_is_not_asked_for():
    dns = Dns()
    assert dns.survey(DOMAIN._replace(transport="tls"), UDP) == Survey()
    assert dns.asked == []


def test_an_srv_record_with_a_dot_means_no_service():
    dns = (
        Dns()
        .put(RecordType.SRV, "_sip._udp.example.net", Srv(0, 0, 0, "."))
        .put(RecordType.A, "example.net", "192.0.2.1")
    )
    assert dns.hops(means=UDP) == []
    assert "A example.net" not in dns.asked


def test_only_families_that_we_have_sockets_for_are_asked_in_their_order():
    dns = Dns().put(RecordType.A, "example.net", "192.0.2.1").put(RecordType.AAAA, "example.net", "2001:db8::1")
    sought = DOMAIN._replace(port=5060)
    assert [host for host, *_ in dns.hops(sought, UsableTransports({"udp": (RecordType.AAAA, RecordType.A)}))] == [
        "2001:db8::1",
        "192.0.2.1",
    ]
    assert [host for host, *_ in dns.hops(sought, UsableTransports({"udp": (RecordType.AAAA,)}))] == ["2001:db8::1"]


@pytest.mark.parametrize("sought", [DOMAIN._replace(transport="tls"), Hop("example.net", 5061, "tls"), DOMAIN])
def test_of_tls_only_the_families_are_asked_that_it_has_sockets_of(sought):
    """Another socket of the family would send in clear."""
    dns = Dns().put(RecordType.NAPTR, "example.net", naptr("SIPS+D2T", "_sips._tcp.example.net"))
    dns.put(RecordType.SRV, "_sips._tcp.example.net", Srv(0, 0, 5061, "h.example.net"))
    means = UsableTransports({"udp": (RecordType.AAAA, RecordType.A), "tls": (RecordType.A,)})
    for name in ("example.net", "h.example.net"):
        dns.put(RecordType.AAAA, name, "2001:db8::1")
    assert dns.hops(sought, means) == []
    for name in ("example.net", "h.example.net"):
        dns.put(RecordType.A, name, "192.0.2.1")
    assert dns.hops(sought, means) == [("192.0.2.1", 5061, "tls")]


def test_a_lower_priority_comes_first_whatever_the_weights():
    dns = Dns().put(
        RecordType.SRV,
        "_sip._udp.example.net",
        Srv(20, 100, 5060, "c.example.net"),
        Srv(10, 0, 5060, "a.example.net"),
        Srv(15, 1, 5060, "b.example.net"),
    )
    for last, name in enumerate("abc", start=1):
        dns.put(RecordType.A, f"{name}.example.net", f"192.0.2.{last}")
    assert [host for host, *_ in dns.hops()] == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]


def server(weight: int, *hosts: str, priority: int = 1) -> SipServer:
    return SipServer(priority, weight, (tuple(Hop(host, 5060, "udp") for host in hosts),))


def first_choices(servers: list[SipServer], draws: int) -> Counter:
    random = Random(7)
    return Counter(in_order(servers, random.randrange)[0].host for _ in range(draws))


def test_over_many_draws_each_server_is_first_in_proportion_to_its_weight():
    chosen = first_choices([server(1_000, "a"), server(3_000, "b"), server(6_000, "c")], 20_000)
    assert chosen["a"] == pytest.approx(2_000, rel=0.1)
    assert chosen["b"] == pytest.approx(6_000, rel=0.1)
    assert chosen["c"] == pytest.approx(12_000, rel=0.1)


def test_a_weight_of_zero_leaves_a_small_chance():
    chosen = first_choices([server(0, "zero"), server(9, "heavy")], 10_000)
    assert chosen["zero"] == pytest.approx(1_000, rel=0.15)


def test_with_weights_of_zero_only_every_server_occurs_once():
    assert [hop.host for hop in in_order([server(0, "a"), server(0, "b")], Random(1).randrange)] == ["a", "b"]


def test_the_addresses_of_one_server_share_its_calls_and_families_stay_in_order():
    both = SipServer(1, 0, ((Hop("a", 1, None), Hop("b", 1, None)), (Hop("c", 1, None),)))
    orders = {tuple(hop.host for hop in in_order([both], Random(seed).randrange)) for seed in range(20)}
    assert orders == {("a", "b", "c"), ("b", "a", "c")}


@given(
    st.lists(st.builds(server, st.integers(0, 65_535), st.text(min_size=1)), max_size=6),
    st.randoms(use_true_random=False),
)
def test_every_server_is_tried_exactly_once_whatever_is_drawn(servers, random):
    tried = [hop.host for hop in in_order(servers, random.randrange)]
    assert sorted(tried) == sorted(host for each in servers for family in each.families for host, *_ in family)


def test_what_is_known_holds_as_long_as_its_shortest_answer():
    known = {
        DnsQuestion(RecordType.NAPTR, "example.net"): DnsAnswer((), 600),
        DnsQuestion(RecordType.SRV, "_sip._udp.example.net"): DnsAnswer((Srv(1, 0, 5060, "a.example.net"),), 60),
        DnsQuestion(RecordType.A, "a.example.net"): DnsAnswer(("192.0.2.1",), 300),
    }
    assert survey(DOMAIN, UDP, known).ttl_s == 60


def test_a_server_whose_address_was_not_to_be_had_is_left_out():
    dns = (
        Dns()
        .put(
            RecordType.SRV, "_sip._udp.example.net", Srv(1, 0, 5060, "a.example.net"), Srv(2, 0, 5060, "b.example.net")
        )
        .breaks(RecordType.A, "a.example.net")
        .put(RecordType.A, "b.example.net", "192.0.2.2")
    )
    found = dns.survey(DOMAIN, UDP)
    assert [hop.host for hop in in_order(found.servers, lambda _: 0)] == ["192.0.2.2"]


def test_names_and_ports_that_cannot_be_are_left_out():
    dns = Dns().put(
        RecordType.SRV,
        "_sip._udp.example.net",
        Srv(1, 0, 0, "a.example.net"),
        Srv(1, 0, 5060, "bad name.example.net"),
        Srv(1, 0, 5060, "192.0.2.1"),
    )
    assert dns.hops() == []


def test_a_flood_of_records_leads_to_few_questions_and_few_addresses():
    dns = Dns().put(
        RecordType.NAPTR, "example.net", *(naptr("SIP+D2U", f"_sip._udp.n{i}.example.net") for i in range(500))
    )
    for index in range(500):
        name = f"_sip._udp.n{index}.example.net"
        dns.put(RecordType.SRV, name, *(Srv(1, 1, 5060, f"s{i}.n{index}.example.net") for i in range(500)))
    assert dns.hops() == []
    assert len(dns.asked) < 100

    dns = Dns().put(RecordType.A, "example.net", *(f"192.0.2.{i}" for i in range(250)))
    assert len(dns.hops(DOMAIN._replace(port=5060))) == ADDRESSES_MAX


def test_the_heaviest_of_too_many_servers_stay():
    dns = Dns().put(RecordType.SRV, "_sip._udp.example.net", *(Srv(1, i, 5060, f"s{i}.example.net") for i in range(40)))
    for index in range(40):
        dns.put(RecordType.A, f"s{index}.example.net", f"192.0.2.{index}")
    assert sorted(each.weight for each in dns.survey(DOMAIN).servers) == list(range(40 - SERVERS_MAX, 40))
