"""A customer at a wrong address is visible: near matches in the log, counters, and for followers."""

from dataclasses import replace
from ipaddress import ip_network

import pytest
from doubles.data.builders import catalogue, credentials, mapping_gateway, phone
from doubles.sockets.login import Login
from doubles.sockets.loopback import Endpoint
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, vendor_gateway
from structlog.testing import capture_logs

from vosd.base.clock import Instant
from vosd.control.traces import CallSought
from vosd.engine.peers.unknown_sources import BURST, COST_MIN, LOOKED_AT_MAX, RATE, NearMatches
from vosd.sip.digest.settings import DigestSettings
from vosd.sip.wire.outgoing import Peer
from vosd.trunks.gateways import CallerNumbers, HostPattern

ELSEWHERE = Endpoint("203.0.113.66", 5060)
CALLER = Peer(0, "198.51.100.7", 5060)


def stage_with(*gateways, phones=()):
    known = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0), *gateways]
    return Scene(catalogue(known, phones=list(phones), digest=DigestSettings()))


def warnings(stage, source=ELSEWHERE, **asked):
    """Let a source ask for a call, and return the answer's status and the log's lines about unknown sources."""
    number = asked.pop("number", "1001")
    with capture_logs() as log:
        answer = stage.exchange.request_client(source, number).ask(**asked)
    lines = [line for line in log if line["event"] == "unknown_source"]
    return None if answer is None else answer.status, lines


def nearly(stage, source, **asked):
    _, (line,) = warnings(stage, source, **asked)
    return line.get("nearly", [])


class TestWithPhones:
    """Where unknown sources may authenticate, they are challenged, and reported as well."""

    def test_a_call_from_an_unknown_address_is_logged_and_counted(self):
        stage = stage_with(phones=[phone("1001")])
        status, (line,) = warnings(stage, number="12025550100")
        assert status == 401
        assert line["log_level"] == "warning"
        assert line["source"] == str(ELSEWHERE)
        assert line["request"].startswith(f"INVITE sip:{CALLEE}@")
        assert line["answered"] == 401
        assert stage.exchange.endpoint.dropped == {"unknown source": 1}

    def test_one_line_a_source_and_minute_is_enough(self):
        stage = stage_with(phones=[phone("1001")])
        assert len(warnings(stage)[1]) == 1
        assert len(warnings(stage)[1]) == 0
        assert len(warnings(stage, Endpoint("203.0.113.67", 5060))[1]) == 1
        stage.wire.run_for(60_000)
        assert len(warnings(stage)[1]) == 1
        assert stage.exchange.endpoint.dropped == {"unknown source": 4}

    def test_a_trunk_with_auth_is_enough_for_that(self):
        stage = stage_with(mapping_gateway("pbx", account="acme", credentials=credentials("pbx", "secret")))
        assert len(warnings(stage)[1]) == 1

    def test_registrations_are_asked_who_they_are_without_a_line(self):
        assert warnings(stage_with(phones=[phone("1001")]), method="REGISTER") == (401, [])

    def test_a_trunk_with_credentials_at_its_own_address_is_no_unknown_source(self):
        pbx = mapping_gateway("pbx", f"{ELSEWHERE.host}/32", account="acme", credentials=credentials("pbx", "secret"))
        stage = stage_with(pbx)
        assert warnings(stage) == (401, [])
        assert stage.exchange.endpoint.dropped == {}

    def test_an_authenticated_address_is_no_unknown_source(self):
        stage = stage_with(phones=[phone("1001")])
        stage.exchange.request_client(ELSEWHERE).prove(Login("1001", "secret"), "REGISTER")
        assert warnings(stage) == (401, [])

    def test_those_who_follow_new_calls_see_it(self):
        stage = stage_with(phones=[phone("1001")])
        with stage.exchange.followers.follow_calls(CallSought(caller="12025")) as follower:
            warnings(stage, number="12025550100")
            (told,) = follower.updates(stage.exchange.clock.now())
        assert (told.caller, told.callee) == ("12025550100", CALLEE)
        assert told.record is not None
        assert (told.record.end_reason, told.record.sip_code) == ("Unknown Source", 401)
        assert told.record.source_address == str(ELSEWHERE)
        first_lines = [message.data.split(b"\r\n")[0].split(b" ")[0:2] for message in told.messages]
        assert first_lines[0][0] == b"INVITE"
        assert first_lines[1] == [b"SIP/2.0", b"401"]
        assert stage.exchange.sink.records == []


class TestWhatNearlyMatched:
    def test_without_near_matches_none_is_logged(self):
        assert nearly(stage_with(), ELSEWHERE) == []

    def test_a_port_that_differs(self):
        hosts = (HostPattern(ip_network(f"{ELSEWHERE.host}/32"), 5070),)
        stage = stage_with(mapping_gateway("pbx", account="acme", hosts=hosts))
        assert nearly(stage, ELSEWHERE) == ["pbx: its hosts have port 5070, not 5060"]

    def test_a_tech_prefix_that_was_not_dialled(self):
        stage = stage_with(mapping_gateway("pbx", f"{ELSEWHERE.host}/32", account="acme", tech_prefix="7001"))
        assert nearly(stage, ELSEWHERE) == ["pbx: the number does not begin with its tech_prefix 7001"]

    def test_an_address_of_the_same_site(self):
        stage = stage_with()
        neighbour = Endpoint(f"{CUSTOMER.host.rpartition('.')[0]}.254", 5060)
        assert nearly(stage, neighbour) == [f"acme: has {CUSTOMER.host}/32, in the same /24"]

    def test_a_vendor_that_calls(self):
        assert nearly(stage_with(), VENDORS[0]._replace(port=5099))[0].endswith(
            ": a routing gateway; to call us it needs a mapping gateway, too"
        )

    @pytest.mark.parametrize("number", ["7001", "+7001", "4930123"])
    def test_the_number_of_a_phone(self, number):
        desk = phone("7001", caller_numbers=CallerNumbers("7001", frozenset({"4930123"})))
        (said,) = nearly(stage_with(phones=[desk]), ELSEWHERE, number=number)
        assert said == f"7001: the caller {number.lstrip('+')!r} is its own; it must prove who it is"

    def test_the_user_name_of_a_trunk(self):
        pbx = mapping_gateway("pbx", account="acme", credentials=credentials("office", "secret"))
        assert nearly(stage_with(pbx), ELSEWHERE, number="office") == [
            "pbx: the caller 'office' is its own; it must prove who it is"
        ]

    def test_no_more_than_three_are_named(self):
        near = [mapping_gateway(f"g{each}", f"203.0.113.{each}/32", account="acme") for each in range(1, 9)]
        assert len(nearly(stage_with(*near), ELSEWHERE)) == 3

    def test_many_sources_are_not_compared_with_the_whole_catalogue(self):
        stage = stage_with(mapping_gateway("pbx", "203.0.113.254/32", account="acme"))
        at_once = BURST // COST_MIN
        sources = [Endpoint(f"203.0.113.{number}", 5060) for number in range(1, at_once + 20)]
        found = [bool(nearly(stage, source)) for source in sources]
        assert found[:at_once] == [True] * at_once
        assert not all(found)

    def test_a_large_catalogue_is_compared_the_more_seldom_and_never_twice_in_a_row(self):
        """A hundred thousand telephones take a twentieth of a second, and a scanner may come from many addresses."""
        phones = [mapping_gateway(f"pbx-{each}", account="acme") for each in range(BURST)]
        trunks = [*phones, mapping_gateway("pbx", "203.0.113.254/32", account="acme")]
        near = NearMatches()
        near.catalogue = catalogue(trunks)

        def of(at_ms):
            return bool(near.of(Peer(0, ELSEWHERE.host, ELSEWHERE.port), None, Instant(at_ms, at_ms)))

        refilled_ms = 1_000 * BURST // RATE
        assert [of(0), of(0), of(refilled_ms - 1), of(refilled_ms)] == [True, False, False, True]


class TestADisabledTrunk:
    def test_an_authenticated_caller_gets_403_and_a_record(self):
        pbx = mapping_gateway("pbx", account="acme", credentials=credentials("pbx", "secret"), enabled=False)
        stage = stage_with(pbx)
        made = stage.exchange.caller(ELSEWHERE).call(CALLEE, Intent(login=Login("pbx", "secret")))
        stage.wire.run_until(lambda: made.is_over)
        assert made.final == 403
        record = stage.close()
        assert (record.mapping_gateway, record.end_reason, record.sip_code) == ("pbx", "Account Disabled", 403)
        assert record.customer_account == "acme"


def test_no_more_gateways_are_compared_than_calls_can_wait_for():
    near, far = mapping_gateway("near", "198.51.100.9"), mapping_gateway("far", "10.0.0.1")

    def compared(**gateways):
        matches = NearMatches()
        matches.catalogue = replace(catalogue([near, far]), mapping_gateways=gateways)
        return [sentence.split(":")[0] for sentence in matches.of(CALLER, None, Instant(0, 0))]

    others = {f"t{number}": far for number in range(LOOKED_AT_MAX - 1)}
    assert compared(near=near, **others) == ["near"]
    assert compared(near=near, **others, new=far) == []
    assert compared(near=far, **others, new=near) == ["near"]  # a reload adds new ones at the end
