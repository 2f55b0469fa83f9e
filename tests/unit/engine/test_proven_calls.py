"""Calls of authenticated phones and trunks: through the real switch, on virtual time."""

from decimal import Decimal

import pytest
from doubles.data.builders import catalogue, credentials, mapping_gateway, phone
from doubles.login_scene import DESK, OTHER_DESK, RIGHT, WRONG, call, content, scene
from doubles.sockets.login import Login, questions
from doubles.sockets.loopback import Endpoint
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway

from vosd.sip.digest.hashing import Algorithm
from vosd.sip.digest.settings import DigestSettings
from vosd.trunks.gateways import CallerNumbers

BOTH = DigestSettings(algorithms=(Algorithm.SHA_256, Algorithm.MD5))


class TestCallsOfPhones:
    def test_a_phone_calls_from_anywhere_and_its_account_pays(self):
        stage = scene()
        made = call(stage, RIGHT, caller="1001")
        assert [response.status for response in made.responses][:1] == [401]
        record = stage.end_of(made)
        assert (record.mapping_gateway, record.customer_account, record.end_reason) == ("1001", "acme", "Normal")
        assert (record.caller_in, record.caller_out) == ("1001", "1001")
        assert record.hold_time_s == 10
        assert stage.exchange.statement("acme") == Decimal("-0.10")
        assert record.source_address == str(DESK)

    @pytest.mark.parametrize(
        ("shown", "sent"), [("1001", "1001"), ("+4930123", "+4930123"), ("12025550100", "1001"), ("anonymous", "1001")]
    )
    def test_a_phone_shows_its_own_numbers_only(self, shown, sent):
        numbers = CallerNumbers("1001", frozenset({"4930123"}))
        stage = scene(phone("1001", caller_numbers=numbers))
        made = call(stage, RIGHT, caller=shown)
        record = stage.end_of(made)
        assert (record.caller_in, record.caller_out) == (shown, sent)
        (invite,) = stage.vendor.received("INVITE")
        assert (f"<sip:{sent}@" in invite["From"]) == (shown != "anonymous")
        assert "12025550100" not in str(invite.headers)

    def test_a_phone_has_limits_of_its_own(self):
        stage = scene(phone("1001", max_concurrent=1))
        first = call(stage, RIGHT)
        second = stage.exchange.caller(OTHER_DESK).call(CALLEE, Intent(login=RIGHT))
        stage.wire.run_until(lambda: second.is_over)
        assert (second.final, second.responses[-1]["Reason"]) == (503, 'Q.850;cause=42;text="Gateway Capacity"')
        stage.wire.run_until(lambda: first.is_over)
        assert {record.end_reason for record in stage.exchange.sink.records} == {"Normal", "Gateway Capacity"}

    def test_what_belongs_to_a_call_of_a_phone_is_not_challenged(self):
        stage = scene()
        made = call(stage, RIGHT)
        stage.wire.run_until(lambda: made.final == 200)
        stage.propose(made, wait_ms=200)
        assert made.got == {"INVITE": [200]}
        stage.finish(made)
        assert made.got["BYE"] == [200]

    def test_a_phone_gives_its_call_up(self):
        stage = scene()
        made = call(stage, RIGHT, cancel_after_ms=300)
        stage.wire.run_until(lambda: made.is_over)
        assert made.final == 487
        assert stage.close().end_reason == "Cancelled"

    def test_a_disabled_phone_is_refused_and_recorded_after_authentication(self):
        stage = scene(phone("1001", enabled=False))
        request_client = stage.exchange.request_client(DESK)
        assert request_client.prove(WRONG).status == 401
        assert request_client.prove(RIGHT, "REGISTER", call_id="registers").status == 403
        assert stage.exchange.sink.records == []
        assert request_client.prove(RIGHT, call_id="calls").status == 403
        (record,) = stage.exchange.sink.records
        assert (record.mapping_gateway, record.end_reason, record.sip_code) == ("1001", "Account Disabled", 403)
        assert (record.fee, record.attempts) == (0, ())

    def test_a_phone_may_be_bound_to_an_address(self):
        stage = scene(phone("1001", f"{DESK.host}/32"), phone("1002"))
        assert stage.exchange.request_client(DESK).prove(RIGHT).status == 180
        assert stage.exchange.request_client(OTHER_DESK).prove(RIGHT).status == 401

    @pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
    def test_a_phone_chooses_among_the_algorithms(self, algorithm):
        stage = scene(digest=BOTH)
        request_client = stage.exchange.request_client(DESK)
        assert [each.parameters["algorithm"] for each in questions(request_client.ask())] == ["SHA-256", "MD5"]
        assert request_client.prove(RIGHT._replace(algorithm=algorithm)).status == 180

    def test_a_phone_removed_by_a_reload_is_an_unknown_source(self):
        stage = scene()
        made = call(stage, RIGHT)
        stage.exchange.swap_catalogue(content(phone("1002")))
        assert stage.exchange.request_client(OTHER_DESK).prove(RIGHT).status == 401
        assert stage.end_of(made).end_reason == "Normal"


class TestTrunks:
    def test_a_trunk_without_credentials_is_known_by_its_address(self):
        stage = scene()
        made = stage.whole_call(Intent(hang_up_after_ms=1_000))
        assert made.statuses == [180, 200]
        assert stage.close().mapping_gateway == "acme"

    def test_a_trunk_with_credentials_authenticates_from_its_own_address_only(self):
        pbx = mapping_gateway("pbx", f"{DESK.host}/32", account="acme", credentials=credentials("pbx", "secret"))
        stage = scene(gateways=[pbx])
        login = Login("pbx", "secret")
        assert stage.exchange.request_client(DESK).ask().status == 401
        assert stage.exchange.request_client(DESK).prove(login).status == 180
        assert stage.exchange.request_client(OTHER_DESK).prove(login).status == 401

    def test_a_trunk_without_address_dials_its_tech_prefix(self):
        pbx = mapping_gateway("pbx", tech_prefix="7001", account="acme", credentials=credentials("pbx", "secret"))
        stage = scene(gateways=[pbx])
        made = stage.exchange.caller(DESK).call(f"7001{CALLEE}", Intent(login=Login("pbx", "secret")))
        stage.wire.run_until(lambda: made.final == 200)
        record = stage.finish(made)
        assert (record.mapping_gateway, record.callee_in, record.callee_out) == ("pbx", f"7001{CALLEE}", CALLEE)

    def test_a_tech_prefix_that_is_not_dialled_is_refused(self):
        pbx = mapping_gateway("pbx", tech_prefix="7001", account="acme", credentials=credentials("pbx", "secret"))
        stage = scene(gateways=[pbx])
        made = stage.exchange.caller(DESK).call(CALLEE, Intent(login=Login("pbx", "secret")))
        stage.wire.run_until(lambda: made.is_over)
        assert made.final == 403
        assert stage.close().end_reason == "Number Not Allowed"

    def test_a_switch_without_users_drops_unknown_sources(self):
        stage = Scene(catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]))
        assert stage.exchange.request_client(DESK).ask() is None
        assert stage.exchange.endpoint.dropped == {"unknown source": 1}

    @pytest.mark.parametrize("method", ["OPTIONS", "MESSAGE", "SUBSCRIBE", "BYE", "CANCEL", "ACK", "NOTIFY"])
    def test_unknown_sources_may_only_call_and_register(self, method):
        assert scene().exchange.request_client(DESK).ask(method) is None

    def test_an_authenticated_source_gets_answers_to_other_requests(self):
        request_client = scene().exchange.request_client(DESK)
        request_client.prove(RIGHT)
        assert request_client.ask("OPTIONS").status == 200


class TestMidCall:
    def talking(self, *phones):
        stage = scene(*phones)
        made = stage.exchange.caller(DESK).call(CALLEE, Intent(login=RIGHT, caller="1001"))
        stage.await_answer(made, talk_ms=1_000)
        return stage, made

    def test_a_phone_transfers_its_call_and_pays_for_both(self):
        stage, made = self.talking()
        made.ask("REFER", headers=["Refer-To: <sip:442071111111@192.0.2.1>"])
        stage.wire.run_for(5_000)
        party, target = stage.vendor.calls
        assert made.got["REFER"] == [202]
        party.hang_up()
        stage.wire.run_until(lambda: target.is_over)
        stage.expect_nothing_left()
        records = stage.exchange.sink.records
        assert {(each.mapping_gateway, each.customer_account, each.end_reason) for each in records} == {
            ("1001", "acme", "Normal")
        }
        assert len(records) == 2

    def test_a_trunk_that_got_credentials_meanwhile_may_transfer_its_running_call(self):
        stage = scene()
        made = stage.answered_call(talk_ms=1_000)
        proven = mapping_gateway("acme", f"{CUSTOMER.host}/32", credentials=credentials("acme", "secret"))
        stage.exchange.swap_catalogue(catalogue([proven, vendor_gateway(0)]))
        made.ask("REFER", headers=["Refer-To: <sip:442071111111@192.0.2.1>"])
        stage.wire.run_for(5_000)
        party, target = stage.vendor.calls
        party.hang_up()
        stage.wire.run_until(lambda: target.is_over)
        assert [record.mapping_gateway for record in stage.exchange.sink.records] == ["acme", "acme"]

    @pytest.mark.parametrize(("login", "status"), [(RIGHT, 200), (Login("1002", "secret"), 200), (WRONG, 401)])
    def test_a_call_is_taken_over_by_a_proven_phone_of_its_account_only(self, login, status):
        stage, made = self.talking(phone("1001"), phone("1002"))
        wanted = Intent(headers=(f"Replaces: {made.replaces}",), login=login)
        pickup = stage.exchange.caller(OTHER_DESK).call(CALLEE, wanted)
        stage.wire.run_for(3_000)
        assert [response.status for response in pickup.responses if response.status > 100] == [401, status]
        assert made.is_over == (status == 200)
        stage.finish(pickup if status == 200 else made)

    def test_the_address_of_a_trunk_with_credentials_is_not_enough_to_take_a_call_over(self):
        pbx = mapping_gateway("pbx", f"{DESK.host}/32", account="acme", credentials=credentials("pbx", "secret"))
        stage = scene(gateways=[pbx])
        made = stage.exchange.caller(DESK).call(CALLEE, Intent(login=Login("pbx", "secret")))
        stage.wire.run_until(lambda: made.final == 200)
        line = f"Replaces: {made.replaces}"
        assert stage.exchange.request_client(Endpoint(DESK.host, 5)).ask(headers=[line]).status == 401
        stage.finish(made)
