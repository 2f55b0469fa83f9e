"""Identification by source: a port beats the longest mask, and the tech prefix decides between equal sources."""

from collections.abc import Callable
from ipaddress import ip_network

import msgspec
import pytest
from doubles.data.builders import credentials, mapping_gateway

from vosd.routing import identify
from vosd.routing.identify import SourceConflict, SourceIndex
from vosd.trunks.dialect import CalleeSource, CallerDialect
from vosd.trunks.gateways import HostName, HostPattern


def saying(number: str) -> Callable[[CalleeSource], str]:
    """Say the same number wherever a gateway looks for it."""
    return lambda _: number


def found(index: SourceIndex, host: str, port: int = 5060, callee: str = "44") -> str | None:
    identified = index.identify(host, port, saying(callee))
    return identified.gateway.name if identified else None


def test_longest_mask_wins():
    index = SourceIndex(
        [
            mapping_gateway("wide", "10.0.0.0/8"),
            mapping_gateway("one", "10.0.0.1/32"),
            mapping_gateway("some", "10.0.0.0/24"),
        ]
    )
    assert [found(index, host) for host in ("10.0.0.1", "10.0.0.2", "10.1.0.1", "11.0.0.1")] == [
        "one",
        "some",
        "wide",
        None,
    ]


def test_port_beats_the_longest_mask():
    index = SourceIndex([mapping_gateway("one", "10.0.0.1/32"), mapping_gateway("port", "10.0.0.0/8@5062")])
    assert found(index, "10.0.0.1", 5062) == "port"
    assert found(index, "10.0.0.1", 5060) == "one"
    assert found(index, "10.0.0.2", 5060) is None


def test_separators_are_no_part_of_a_tech_prefix_nor_hide_one():
    index = SourceIndex([mapping_gateway("plain", "10.0.0.1"), mapping_gateway("7001", "10.0.0.1", tech_prefix="7001")])
    for dialled, name, callee in (
        ("70-01-44", "7001", "44"),
        ("+7(001)44", "7001", "44"),
        ("7001+4-4", "7001", "+44"),
        ("7001-anne", "7001", "-anne"),
        ("4-4", "plain", "44"),
    ):
        identified = index.identify("10.0.0.1", 5060, saying(dialled))
        assert (identified.gateway.name, identified.callee, identified.dialled) == (name, callee, dialled)


def test_tech_prefix_chooses_between_gateways_of_one_source_and_is_removed():
    index = SourceIndex(
        [
            mapping_gateway("plain", "10.0.0.1"),
            mapping_gateway("short", "10.0.0.1", tech_prefix="70"),
            mapping_gateway("long", "10.0.0.1", tech_prefix="7001"),
        ]
    )
    answers = [index.identify("10.0.0.1", 5060, saying(callee)) for callee in ("700144", "700244", "44")]
    assert [(each.gateway.name, each.callee) for each in answers] == [
        ("long", "44"),
        ("short", "0244"),
        ("plain", "44"),
    ]


def test_each_gateway_reads_the_number_where_its_dialect_says_and_only_there():
    read = []

    def called(source: CalleeSource) -> str:
        read.append(source)
        return {CalleeSource.REQUEST_URI: "44", CalleeSource.TO: "700149"}[source]

    index = SourceIndex(
        [
            mapping_gateway("uri", "10.0.0.0/8"),
            mapping_gateway("uri-too", "10.0.0.0/16", tech_prefix="9"),
            mapping_gateway(
                "to", "10.0.0.0/24", tech_prefix="7001", dialect=CallerDialect(callee_from=CalleeSource.TO)
            ),
        ]
    )
    first = index.identify("10.0.0.1", 5060, called)
    assert (first.callee, first.dialled) == ("49", "700149")
    assert read == [CalleeSource.TO]
    second = index.identify("10.0.1.1", 5060, called)
    assert (second.callee, second.dialled) == ("44", "44")
    assert read == [CalleeSource.TO, CalleeSource.REQUEST_URI]


def test_number_that_fits_no_tech_prefix_goes_to_the_next_wider_pattern():
    index = SourceIndex([mapping_gateway("wide", "10.0.0.0/8"), mapping_gateway("one", "10.0.0.1", tech_prefix="7001")])
    assert found(index, "10.0.0.1", callee="700144") == "one"
    assert found(index, "10.0.0.1", callee="44") == "wide"


def test_number_that_fits_no_tech_prefix_at_all_is_unknown_but_its_source_is_not():
    index = SourceIndex([mapping_gateway("one", "10.0.0.1", tech_prefix="7001")])
    assert index.identify("10.0.0.1", 5060, saying("44")) is None
    assert index.knows("10.0.0.1", 5060)


@pytest.mark.parametrize(
    ("tech_prefix", "callee", "rest"),
    [
        ("7001", "+700144", "44"),
        ("+7", "+744", "44"),
        ("7001#", "7001#44", "44"),
        ("", "+44", "+44"),
        ("7001", "7001", ""),
    ],
)
def test_tech_prefix_is_compared_with_and_without_the_plus(tech_prefix, callee, rest):
    index = SourceIndex([mapping_gateway("one", "10.0.0.1", tech_prefix=tech_prefix)])
    assert index.identify("10.0.0.1", 5060, saying(callee)).callee == rest


def test_source_is_known_by_its_port_only_where_a_port_is_given():
    index = SourceIndex([mapping_gateway("port", "10.0.0.1@5062"), mapping_gateway("any", "10.0.0.2")])
    assert index.knows("10.0.0.1", 5062)
    assert not index.knows("10.0.0.1", 5060)
    assert index.knows("10.0.0.2", 40_000)
    assert not index.knows("10.0.0.3", 5060)


def test_a_source_is_trusted_where_its_address_is_proof_enough_whatever_it_calls():
    secret = credentials("proven", "secret")
    gateways = [
        mapping_gateway("port", "10.0.0.1@5062"),
        mapping_gateway("prefix", "10.0.0.2", tech_prefix="7001"),
        mapping_gateway("beside it", "10.0.0.2"),
        mapping_gateway("proven", "10.0.0.3", credentials=secret),
        mapping_gateway("wide", "10.0.0.0/8"),
    ]
    index = SourceIndex(gateways)
    assert index.is_trusted("10.0.0.1", 5062)
    assert index.is_trusted("10.0.0.1", 5060), "that port belongs to the wide pattern"
    assert not index.is_trusted("10.0.0.2", 5060), "the number decides which gateway it is"
    assert not index.is_trusted("10.0.0.3", 5060)
    assert not index.is_trusted("192.0.2.1", 5060)
    narrow = SourceIndex([mapping_gateway("port", "10.0.0.1@5062")])
    assert [narrow.is_trusted("10.0.0.1", port) for port in (5060, 5062)] == [False, True]


def test_ports_of_a_host_are_of_one_trunk_unless_a_gateway_has_one_of_them_alone():
    gateways = [mapping_gateway("port", "10.0.0.1@5062"), mapping_gateway("wide", "10.0.0.0/8")]
    index = SourceIndex(gateways)
    assert are_of_one_trunk(index, "10.0.0.1", 5060, 40_000)
    assert are_of_one_trunk(index, "10.0.0.1", 5062, 5062)
    assert [are_of_one_trunk(index, "10.0.0.1", *ports) for ports in ((5062, 5060), (5060, 5062))] == [False, False]
    assert are_of_one_trunk(index, "10.0.0.2", 5062, 5060)
    assert are_of_one_trunk(index, "192.0.2.1", 5062, 5060), "a phone there is found by its password"


def test_hosts_are_of_one_trunk_where_a_gateway_has_both():
    gateways = [
        mapping_gateway("pair", "10.0.0.1", "10.0.0.2", "10.0.0.3@5062"),
        mapping_gateway("other", "192.0.2.7"),
        mapping_gateway("wide", "0.0.0.0/0", credentials=credentials("wide", "secret")),
    ]
    index = SourceIndex(gateways)
    assert index.is_of_one_trunk("10.0.0.1", 5060, "10.0.0.2", 40_000)
    assert index.is_of_one_trunk("10.0.0.1", 5060, "10.0.0.3", 5062)
    assert not index.is_of_one_trunk("10.0.0.1", 5060, "10.0.0.3", 5060)
    assert not index.is_of_one_trunk("10.0.0.1", 5060, "192.0.2.7", 5060)
    assert not index.is_of_one_trunk("10.0.0.1", 5060, "203.0.113.9", 5060), "what is in both is not of the first one"


def are_of_one_trunk(index, host, port, other):
    """Return whether two ports of one host are."""
    return index.is_of_one_trunk(host, port, host, other)


def test_a_gateway_may_send_from_its_own_hosts_and_ports_alone():
    """By this a login of a trunk is taken from its hosts only."""
    index = SourceIndex([mapping_gateway("acme", "10.0.0.1@5062"), mapping_gateway("wide", "10.0.0.0/24")])
    assert index.is_from("acme", "10.0.0.1", 5062)
    assert not index.is_from("acme", "10.0.0.1", 5060)
    assert not index.is_from("acme", "10.0.0.2", 5062)
    assert index.is_from("wide", "10.0.0.1", 5060)
    assert index.is_from("wide", "10.0.0.1", 5062), "its pattern fits any port, also one that another gateway claims"
    assert not index.is_from("other", "10.0.0.1", 5060)


@pytest.mark.parametrize(
    ("host", "port", "acme_may", "wide_may"),
    [
        ("10.0.0.1", 5_062, True, True),
        ("10.0.0.1", 5_060, False, True),
        ("10.0.0.1", None, True, True),
        ("10.0.0.2", 5_062, False, True),
        ("10.0.1.1", 5_062, False, False),
        ("10.0.1.1", None, False, False),
    ],
)
def test_a_login_is_kept_at_the_hosts_and_ports_of_its_gateway_alone(host, port, acme_may, wide_may):
    acme = mapping_gateway("acme", "10.0.0.1@5062", credentials=credentials("acme", "secret"))
    wide = mapping_gateway("wide", "10.0.0.0/24", credentials=credentials("wide", "secret"))
    index = SourceIndex([acme, wide])
    assert (index.may_send(acme, host, port), index.may_send(wide, host, port)) == (acme_may, wide_may)


def test_ipv6_sources_are_told_from_ipv4_ones():
    index = SourceIndex([mapping_gateway("six", "2001:db8::/32"), mapping_gateway("all-v4", "0.0.0.0/0")])
    assert found(index, "2001:db8::5") == "six"
    assert found(index, "2001:db9::5") is None
    assert found(index, "32.1.13.184") == "all-v4"


def test_ipv4_mapped_address_is_its_ipv4_address_in_packets_and_patterns():
    index = SourceIndex([mapping_gateway("four", "10.0.0.0/24"), mapping_gateway("mapped", "::ffff:10.1.0.0/112")])
    assert found(index, "::ffff:10.0.0.7") == "four"
    assert found(index, "10.1.0.7") == "mapped"
    assert found(index, "10.2.0.7") is None


def test_network_wider_than_the_mapped_block_stays_ipv6():
    index = SourceIndex([mapping_gateway("all-v6", "::/0")])
    assert found(index, "2001:db8::1") == "all-v6"
    assert found(index, "10.0.0.1") is None


def test_a_disabled_gateway_is_identified_so_that_no_other_pays_for_its_calls():
    index = SourceIndex([mapping_gateway("wide", "10.0.0.0/8"), mapping_gateway("off", "10.0.0.1", enabled=False)])
    assert found(index, "10.0.0.1") == "off"


@pytest.mark.parametrize(
    ("first", "second", "claim"),
    [
        (mapping_gateway("a", "10.0.0.1"), mapping_gateway("b", "10.0.0.1/32"), "10.0.0.1/32"),
        (mapping_gateway("a", "10.0.0.1@5062"), mapping_gateway("b", "10.0.0.1@5062"), "10.0.0.1/32 port 5062"),
        (mapping_gateway("a", "10.0.0.1"), mapping_gateway("b", "::ffff:10.0.0.1"), str(ip_network("::ffff:10.0.0.1"))),
        (
            mapping_gateway("a", "10.0.0.1", tech_prefix="7"),
            mapping_gateway("b", "10.0.0.2", "10.0.0.1", tech_prefix="7"),
            "10.0.0.1/32 with tech_prefix '7'",
        ),
        (
            mapping_gateway("a", named_hosts=(HostName("sip.example", None),)),
            mapping_gateway("b", named_hosts=(HostName("sip.example", None),)),
            "sip.example",
        ),
        (
            mapping_gateway("a", named_hosts=(HostName("sip.example", 5062),), tech_prefix="7"),
            mapping_gateway("b", named_hosts=(HostName("sip.example", 5062),), tech_prefix="7"),
            "sip.example port 5062 with tech_prefix '7'",
        ),
    ],
)
def test_two_gateways_with_the_same_claim_are_an_error_that_names_both(first, second, claim):
    with pytest.raises(SourceConflict) as caught:
        SourceIndex([first, second])
    assert (caught.value.first, caught.value.second) == ("a", "b")
    assert f"both claim {claim}:" in str(caught.value)
    with pytest.raises(SourceConflict) as caught:
        SourceIndex([first]).changed([], [second])
    assert (caught.value.first, caught.value.second) == ("a", "b")
    second = msgspec.structs.replace(second, name="a")
    assert (
        SourceIndex([first]).changed([first], [second]).changed([second], [first]).named == SourceIndex([first]).named
    )


def test_one_gateway_may_name_a_source_twice():
    assert found(SourceIndex([mapping_gateway("a", "10.0.0.1", "10.0.0.1/32")]), "10.0.0.1") == "a"


def test_same_network_with_another_port_or_tech_prefix_is_no_conflict():
    index = SourceIndex(
        [
            mapping_gateway("a", "10.0.0.1"),
            mapping_gateway("b", "10.0.0.1@5062"),
            mapping_gateway("c", "10.0.0.1", tech_prefix="7"),
        ]
    )
    assert (found(index, "10.0.0.1"), found(index, "10.0.0.1", 5062), found(index, "10.0.0.1", callee="74")) == (
        "a",
        "b",
        "c",
    )


def test_the_gateways_at_a_host_end_with_the_closest_one_that_takes_every_call():
    index = SourceIndex(
        [
            mapping_gateway("wide", "10.0.0.0/8"),
            mapping_gateway("all", "10.0.0.0/24"),
            mapping_gateway("same", "10.0.0.0/24", tech_prefix="7"),
            mapping_gateway("same port", "10.0.0.0/24@5062", tech_prefix="8"),
            mapping_gateway("port", "10.0.0.1@5062"),
            mapping_gateway("prefix", "10.0.0.1", tech_prefix="7"),
        ]
    )
    assert {each.name for each in index.gateways_at("10.0.0.1")} == {"port", "prefix", "same", "same port", "all"}
    assert {each.name for each in index.gateways_at("10.1.0.1")} == {"wide"}


def test_the_cache_of_hosts_is_bounded_and_holds_known_ones_only(monkeypatch):
    monkeypatch.setattr(identify, "_REMEMBERED_HOSTS", 3)
    index = SourceIndex([mapping_gateway("net", "10.0.0.0/24"), mapping_gateway("one", "10.0.0.9")])
    for _ in range(2):
        for last in range(10):
            assert found(index, f"10.0.0.{last}") == ("one" if last == 9 else "net")
            assert found(index, f"192.0.2.{last}") is None
    assert 1 <= len(index._remembered) <= 3
    assert all(host.startswith("10.0.0.") for host in index._remembered)


def test_host_that_is_no_address_is_an_error():
    with pytest.raises(ValueError, match="example"):
        SourceIndex([]).identify("example.com", 5060, saying("44"))


class CountedText(str):
    """A tech prefix that counts how often it is compared with another one."""

    __slots__ = ()
    compared = 0

    def __eq__(self, other: object) -> bool:
        CountedText.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


class CountedPort(int):
    """A port that does so."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        CountedPort.compared += 1
        return int.__eq__(self, other)

    __hash__ = int.__hash__


@pytest.mark.parametrize("ports", [1, 500])
@pytest.mark.parametrize("is_changed", [True, False])
def test_a_gateway_is_not_compared_with_each_of_those_that_share_its_address(ports, is_changed, monkeypatch):
    """An index of 12,000 ports of one address took four seconds at each reload."""
    monkeypatch.setattr(CountedText, "compared", 0)
    monkeypatch.setattr(CountedPort, "compared", 0)
    network = ip_network("10.0.0.1")
    hosts = tuple(HostPattern(network, CountedPort(5_000 + at)) for at in range(ports))
    gateways = [
        msgspec.structs.replace(
            mapping_gateway(f"g{at}", tech_prefix=CountedText("7"), credentials=credentials(f"u{at}", "secret")),
            hosts=hosts,
        )
        for at in range(500 // ports)
    ]
    index = SourceIndex([]).changed([], gateways) if is_changed else SourceIndex(gateways)
    assert CountedText.compared + CountedPort.compared < 5_000
    assert len(index.gateways_at("10.0.0.1")) == len(gateways)


class CountedNumber(str):
    """A called number that counts how often it is compared with a prefix."""

    __slots__ = ()
    compared = 0

    def startswith(self, *wanted: str) -> bool:  # type: ignore[override]  # all that is used of it
        CountedNumber.compared += 1
        return str.startswith(self, *wanted)


@pytest.mark.parametrize("shared", [{"tech_prefix": True}, {"port": True}])
def test_thousands_of_trunks_at_one_address_are_told_apart_without_comparing_each(shared, monkeypatch):
    """An INVITE of the last of 5,000 took 13 ms."""
    monkeypatch.setattr(CountedNumber, "compared", 0)
    count = 5_000
    gateways = [
        mapping_gateway(
            f"g{number}",
            f"10.0.0.0/24@{10_000 + number}" if "port" in shared else "10.0.0.0/24",
            tech_prefix=f"{number:04d}" if "tech_prefix" in shared else "",
        )
        for number in range(count)
    ]
    index = SourceIndex(gateways)
    number = CountedNumber("499944" if "tech_prefix" in shared else "44")
    for last in range(1, 4):
        host = f"10.0.0.{last}"
        identified = index.identify(host, 14_999, saying(number))
        assert (identified.gateway.name, identified.callee) == ("g4999", "44")
        assert index.identify(host, 9_999 if "port" in shared else 5060, saying(CountedNumber("99"))) is None
        assert index.is_from("g4999", host, 14_999)
        assert index.knows(host, 14_999)
    assert CountedNumber.compared < 30
    assert index.gateways_at("10.0.0.1") is index.gateways_at("10.0.0.2"), "hosts of the same networks share claims"
