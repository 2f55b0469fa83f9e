"""Calls and registrations from where they may not come, through a whole switch on virtual time."""

from dataclasses import replace
from ipaddress import ip_network

import msgspec
import pytest
from doubles.data.builders import account, catalogue, mapping_gateway, phone
from doubles.data.sessions import revised
from doubles.sockets.login import Login
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import ANSWER, OFFER
from doubles.virtual.customer import KNOWS_UPDATE, SUPPORTS_100REL, Intent
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, vendor_gateway
from doubles.virtual.side import Reply
from doubles.virtual.vendor import Line, Script, answers_reliably
from structlog.testing import capture_logs

from vosd.catalogue.catalogue import Changes
from vosd.obs.events import Event
from vosd.routing.access import AccessAction, AccessRule, AccessRules, AccessScope
from vosd.routing.special_numbers import SpecialNumbers
from vosd.sip.drops import Drop
from vosd.trunks.media import MediaEngine, MediaMode, MediaParameters, MediaTrust
from vosd.trunks.number_rules import IncomingNumbers

HOME, ABROAD = Endpoint("5.9.0.1", 41_234), Endpoint("8.8.8.8", 41_234)
RIGHT, WRONG = Login("1001", "secret"), Login("1001", "guess")
AGENT = "User-Agent: Yealink SIP-T46U"


def country_of(host: str) -> str:
    return {HOME.host: "DE", ABROAD.host: "US"}.get(host, "")


def rule(action, scope=AccessScope.SIGNALLING, networks=(), countries=()):
    return AccessRule(action, scope, tuple(map(ip_network, networks)), frozenset(countries))


def scene(*rules, phones=(), of_account=None, switch=None, customer=None, **parameters):
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32", **(customer or {})), vendor_gateway(0)]
    accounts = [account("acme", **of_account)] if of_account else []
    content = catalogue(trunks, phones=phones, accounts=accounts, access=AccessRules(rules=rules), **parameters)
    return Scene(content, country_of=country_of, **(switch or {}))


def call(stage, address=CUSTOMER, **intent):
    made = stage.exchange.caller(address).call(CALLEE, Intent(hang_up_after_ms=1_000, **intent))
    stage.wire.run_until(lambda: made.is_over)
    return made


class TestBlockedSources:
    BLOCK = rule(AccessAction.BLOCK, networks=[f"{CUSTOMER.host}/32"], countries=["US"])

    def test_a_call_of_a_trunk_gets_403_and_a_record_that_says_why(self):
        stage = scene(self.BLOCK)
        with capture_logs() as logs:
            made = call(stage)
        assert made.final == 403
        assert made.refusal["Reason"] == 'Q.850;cause=21;text="Geofence Blocked"'
        record = stage.close()
        assert (record.end_reason, record.sip_code, record.mapping_gateway) == ("Geofence Blocked", 403, "acme")
        assert "access.rules[0] has 198.51.100.10/32" in record.verdicts
        (line,) = [line for line in logs if line["event"] == Event.ACCESS_REFUSED]
        assert (line["account"], line["name"]) == ("acme", "acme")

    def test_a_trunk_with_countries_of_its_own_leaves_that_record_too(self):
        public = Endpoint(ABROAD.host, 5_060)
        trunk = mapping_gateway("far", f"{public.host}/32", account="acme", countries=frozenset({"DE"}))
        content = catalogue(
            [mapping_gateway("acme", f"{CUSTOMER.host}/32"), trunk, vendor_gateway(0)],
            access=AccessRules(rules=(self.BLOCK,)),
        )
        stage = Scene(content, country_of=country_of)
        assert call(stage, public).final == 403
        assert (stage.record.end_reason, stage.record.mapping_gateway) == ("Geofence Blocked", "far")

    def test_no_answer_says_whether_a_password_is_right(self):
        stage = scene(self.BLOCK, phones=[phone("1001")])
        client = stage.exchange.request_client(ABROAD)
        for login in (RIGHT, WRONG):
            for method in ("INVITE", "REGISTER"):
                assert client.prove(login, method).status == 403
        assert client.ask("OPTIONS").status == 403
        assert stage.exchange.endpoint.dropped == {Drop.BLOCKED_BY_RULE: 5}
        assert stage.exchange.sink.records == []
        assert stage.exchange.request_client(HOME).prove(RIGHT, "REGISTER").status == 200

    def test_a_call_that_runs_when_the_rule_comes_goes_on(self):
        stage = scene()
        talking, there = stage.talk()
        stage.exchange.swap_catalogue(scene(self.BLOCK).exchange.switch.catalogue)
        talking.propose("a=sendonly")
        stage.wire.run_until(lambda: "INVITE" in talking.got)
        assert (talking.got["INVITE"], len(there.asked["INVITE"])) == ([200], 1)
        assert call(stage).final == 403
        talking.hang_up()
        stage.wire.run_until(lambda: talking.is_over and there.is_over)
        ended = [each.end_reason for each in stage.exchange.sink.records]
        assert sorted(ended) == ["Geofence Blocked", "Normal"]
        stage.exchange.swap_catalogue(scene().exchange.switch.catalogue)
        assert call(stage).final == 200


class TestCountriesOfUsers:
    def test_a_phone_registers_and_calls_from_the_countries_of_its_account(self):
        stage = scene(phones=[phone("1001")], of_account={"countries": frozenset({"DE"})})
        assert stage.exchange.request_client(HOME).prove(RIGHT, "REGISTER").status == 200
        assert call(stage, HOME, login=RIGHT).final == 200
        with capture_logs() as logs:
            client = stage.exchange.request_client(ABROAD)
            assert client.prove(RIGHT, "REGISTER").status == 403
            assert client.prove(WRONG, "REGISTER").status == 401
        (line,) = [line for line in logs if line["event"] == Event.ACCESS_REFUSED]
        assert (line["account"], line["name"]) == ("acme", "1001")
        assert line["why"] == "8.8.8.8 is of US, not of DE"
        assert stage.exchange.endpoint.dropped[Drop.ELSEWHERE] == 1
        assert call(stage, ABROAD, login=RIGHT).final == 403
        record = stage.exchange.sink.records[-1]
        assert (record.end_reason, record.customer_account) == ("Geofence Blocked", "acme")
        assert "1001: 8.8.8.8 is of US, not of DE" in record.verdicts

    @pytest.mark.parametrize(
        ("terms", "of_account", "left"),
        [
            ({}, {"countries": frozenset({"DE"})}, [HOME.host]),
            ({"countries": frozenset({"US"})}, {"countries": frozenset({"DE"})}, [ABROAD.host]),
            ({"countries": frozenset({"DE", "US"})}, {}, [HOME.host, ABROAD.host]),
        ],
    )
    @pytest.mark.parametrize("is_whole", [True, False])
    def test_narrower_countries_end_what_is_registered_from_others(self, terms, of_account, left, is_whole):
        """A REGISTER from there would be refused; until its binding expired, the phone went on getting calls there."""
        stage = scene(phones=[phone("1001")] if is_whole else [phone("1001", **terms)])
        for place in (HOME, ABROAD):
            stage.exchange.telephone("1001", place).register()
        before, after = stage.exchange.switch.catalogue, scene(phones=[phone("1001", **terms)], of_account=of_account)
        content = after.exchange.switch.catalogue
        if not is_whole:
            content = replace(content, changes=Changes(before.version, frozenset({"acme"}), frozenset()))
        stage.exchange.swap_catalogue(content)
        assert {each.host for each in stage.exchange.registrations.addresses("1001")} == set(left)

    def test_the_countries_of_a_phone_hold_in_place_of_its_accounts(self):
        abroad = phone("1001", countries=frozenset({"US"}))
        stage = scene(phones=[abroad], of_account={"countries": frozenset({"DE"})})
        assert call(stage, ABROAD, login=RIGHT).final == 200
        assert call(stage, HOME, login=RIGHT).final == 403

    def test_a_trunk_may_have_countries_and_a_private_address_is_of_none(self):
        stage = scene(customer={"countries": frozenset({"DE"})})
        assert call(stage).final == 200  # a network for documentation

    def test_emergency_numbers_may_be_called_from_everywhere(self):
        stage = scene(phones=[phone("1001")], of_account={"countries": frozenset({"DE"})})
        special = msgspec.structs.replace(
            stage.exchange.switch.catalogue.parameters.special_numbers, emergency=frozenset({CALLEE})
        )
        stage = scene(phones=[phone("1001")], of_account={"countries": frozenset({"DE"})}, special_numbers=special)
        assert call(stage, ABROAD, login=RIGHT).final == 200
        public = Endpoint(ABROAD.host, 5_060)
        trunk = mapping_gateway("far", f"{public.host}/32", account="acme", countries=frozenset({"DE"}))
        content = catalogue(
            [mapping_gateway("acme", f"{CUSTOMER.host}/32"), trunk, vendor_gateway(0)], special_numbers=special
        )
        stage = Scene(content, country_of=country_of)
        for number in (CALLEE, f"+{CALLEE}"):
            made = stage.exchange.caller(public).call(number, Intent(hang_up_after_ms=1_000))
            stage.wire.run_until(lambda made=made: made.is_over)
            assert made.final != 403


class TestAgents:
    @pytest.mark.parametrize(("headers", "status"), [((AGENT,), 200), (("User-Agent: other",), 403), ((), 403)])
    def test_calls_and_registrations_need_an_agent_of_the_account(self, headers, status):
        stage = scene(phones=[phone("1001")], of_account={"user_agents": ("yealink",)})
        assert call(stage, headers=headers).final == status
        record = stage.exchange.sink.records[-1]
        assert record.end_reason == ("Normal" if status == 200 else "User Agent Not Allowed")
        client = stage.exchange.request_client(HOME)
        assert client.prove(RIGHT, "REGISTER").status == 403  # it sends none


class TestMediaAddresses:
    HOST = "192.0.2.10"
    """The address in the offer."""

    def test_a_call_with_media_at_a_blocked_address_gets_403(self):
        stage = scene(rule(AccessAction.BLOCK, AccessScope.SDP, [f"{self.HOST}/32"]))
        assert call(stage).final == 403
        assert "media at 192.0.2.10: access.rules[0] has 192.0.2.10/32" in stage.close().verdicts

    def test_other_media_and_calls_without_an_offer_pass(self):
        stage = scene(rule(AccessAction.BLOCK, AccessScope.SDP, [f"{self.HOST}/32"]))
        assert call(stage, offer=OFFER.replace(self.HOST, "192.0.2.11")).final == 200
        assert call(stage, offer=OFFER.replace("c=IN IP4 192.0.2.10", "c=IN IP4 media.example.net")).final == 200

    @pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
    def test_a_call_may_not_change_to_a_blocked_address(self, method):
        stage = scene(rule(AccessAction.BLOCK, AccessScope.SDP, ["192.0.2.66/32"]))
        made, there = stage.talk(Intent(headers=KNOWS_UPDATE))
        before = there.theirs
        made.ask(method, body=revised(made.mine.replace(self.HOST, "192.0.2.66")))
        stage.wire.run_for(500)
        assert (made.got[method], there.theirs) == ([403], before)
        there.ask("INVITE", body=revised(there.mine.replace("192.0.2.20", "192.0.2.66")))  # vendors are not judged
        stage.wire.run_for(500)
        assert there.got["INVITE"] == [200]
        made.ask(method, body=revised(made.mine.replace(self.HOST, "192.0.2.11")))
        stage.wire.run_for(500)
        assert made.got[method] == [403, 200]
        stage.finish(made)

    def test_an_answer_with_a_blocked_address_ends_the_call_on_both_sides(self):
        """An ACK has no response, and neither has a 200: the answer to a late offer, and to a vendor's re-INVITE."""
        blocked = ANSWER.replace("192.0.2.20", "192.0.2.66")
        for is_late in (True, False):
            stage = scene(rule(AccessAction.BLOCK, AccessScope.SDP, ["192.0.2.66/32"]))
            with capture_logs() as logs:
                if is_late:
                    made, there = stage.talk(Intent(offer="", acknowledges=False))
                    made.agent.send(made.request("ACK", 1, "z9hG4bK-ack", body=blocked))
                else:
                    made, there = stage.talk()
                    made.will("INVITE", Reply(body=blocked))
                    there.ask("INVITE", body=revised(there.mine))
                stage.wire.run_until(lambda made=made, there=there: made.is_over and there.is_over)
            assert (len(made.asked["BYE"]), len(there.asked["BYE"])) == (1, 1)
            assert b"192.0.2.66" not in stage.bytes_to(VENDORS[0])
            record = stage.exchange.sink.records[-1]
            assert (record.end_reason, record.hangup_source) == ("Geofence Blocked", "switch")
            (line,) = [line for line in logs if line["event"] == Event.ACCESS_REFUSED]
            assert line["why"] == "media at 192.0.2.66: access.rules[0] has 192.0.2.66/32"

    def test_descriptions_in_pracks_are_judged(self):
        """An offer gets 403; the answer to a late offer is acknowledged, and its call refused."""
        stage = scene(rule(AccessAction.BLOCK, AccessScope.SDP, ["192.0.2.66/32"]))
        settled = Script((Line(0, 100), Line(0, 183, ANSWER, KNOWS_UPDATE, True), Line(3_000, 200)))
        for offer, script, status, final in ((OFFER, settled, 403, 200), ("", answers_reliably(body=OFFER), 200, 403)):
            stage.vendor.script = script
            made = stage.begun_call(Intent(offer=offer, headers=SUPPORTS_100REL, pracks=False), after_ms=100)
            ringing = next(each for each in made.responses if each.every("RSeq"))
            made.remote, made.target = ringing["To"], ringing.target
            made.ask(
                "PRACK", headers=(f"RAck: {ringing['RSeq']} 1 INVITE",), body=OFFER.replace(self.HOST, "192.0.2.66")
            )
            stage.wire.run_until(lambda made=made: made.final is not None)
            assert (made.got["PRACK"], made.final) == ([status], final)
            assert b"192.0.2.66" not in stage.bytes_to(VENDORS[0])
            if final == 200:
                made.hang_up()
            stage.wire.run_until(lambda made=made: made.is_over)
        ended = [each.end_reason for each in stage.exchange.sink.records]
        assert ended == ["Normal", "Geofence Blocked"]

    def test_an_ignored_address_is_not_used_and_media_are_learned(self):
        relay = VirtualRelay()
        stage = scene(
            rule(AccessAction.IGNORE, AccessScope.SDP, [f"{self.HOST}/32"]),
            switch={"relay": relay},
            media=MediaParameters(engine=MediaEngine.RELAY, mode=MediaMode.ON),
        )
        made, _there = stage.talk()
        sources = [each.source for each in relay.open_ports.values() if each.source is not None]
        (ignored,) = [each for each in sources if each.sip_host == CUSTOMER.host]
        assert (ignored.host, ignored.trust) == ("0.0.0.0", MediaTrust.LEARN)
        assert ignored.rtp > 0
        assert {each.host for each in sources} == {"0.0.0.0", "192.0.2.20"}
        stage.finish(made)

    @pytest.mark.parametrize("action", list(AccessAction))
    def test_media_are_taken_dropped_or_end_the_call_by_where_they_come_from(self, action):
        """The source is judged when the relay finds it; a rule about media says nothing of descriptions.

        An address that no peer has named may be forged: it ends no call.
        """
        relay, forged = VirtualRelay(), "198.51.100.9"
        stage = scene(
            rule(action, AccessScope.RTP, [f"{self.HOST}/32", f"{forged}/32"]),
            switch={"relay": relay},
            media=MediaParameters(engine=MediaEngine.RELAY, mode=MediaMode.ON),
        )
        made, there = stage.talk()
        (port,) = [
            each for each in relay.open_ports.values() if each.source is not None and each.source.host == self.HOST
        ]
        for host in (forged, self.HOST):
            assert [made.is_over, there.is_over] == [False, False]
            stage.exchange.switch.media_events.source_found(
                port.port, port.source.judged_for, host, stage.wire.clock.now()
            )
            assert port.verdicts.pop(host) is (action is AccessAction.ALLOW)
        if action is AccessAction.BLOCK:
            stage.wire.run_until(lambda: made.is_over and there.is_over)
            assert (len(made.asked["BYE"]), len(there.asked["BYE"])) == (1, 1)
        record = stage.close() if action is AccessAction.BLOCK else stage.finish(made)
        assert record.end_reason == ("Geofence Blocked" if action is AccessAction.BLOCK else "Normal")

    def test_a_fault_while_a_source_is_judged_ends_its_call_only(self, monkeypatch):
        relay = VirtualRelay()
        stage = scene(
            rule(AccessAction.IGNORE, AccessScope.RTP, [f"{self.HOST}/32"]),
            switch={"relay": relay},
            media=MediaParameters(engine=MediaEngine.RELAY, mode=MediaMode.ON),
        )
        made, there = stage.talk()
        other, _ = stage.talk()
        port = next(iter(relay.open_ports.values()))

        def fails(*_args, **_kwargs):
            raise ValueError("it cannot be judged")

        monkeypatch.setattr(relay, "judge", fails)
        now = stage.wire.clock.now()
        stage.exchange.switch.media_events.source_found(port.port, port.source.judged_for, self.HOST, now)
        stage.wire.run_until(lambda: made.is_over and there.is_over)
        assert not other.is_over
        stage.hang_up(other, wait_ms=1_000)
        assert [record.end_reason for record in stage.exchange.sink.records] == ["Lost", "Normal"]

    def test_emergency_numbers_are_known_behind_the_rewriting_of_their_trunk(self):
        public = Endpoint(ABROAD.host, 5_060)
        numbers = IncomingNumbers(callee_rewrite=((f"9{CALLEE}", CALLEE),))
        trunk = mapping_gateway(
            "far", f"{public.host}/32", account="acme", countries=frozenset({"DE"}), numbers=numbers
        )
        special = SpecialNumbers(emergency=frozenset({CALLEE}))
        stage = Scene(catalogue([trunk, vendor_gateway(0)], special_numbers=special), country_of=country_of)
        for number, final in ((f"9{CALLEE}", 200), (f"8{CALLEE}", 403)):
            made = stage.exchange.caller(public).call(number, Intent(hang_up_after_ms=1_000))
            stage.wire.run_until(lambda made=made: made.is_over)
            assert made.final == final
