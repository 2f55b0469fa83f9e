"""Authentication through the real switch: which sources are challenged, and which are locked out."""

import pytest
from doubles.data.builders import catalogue, credentials, mapping_gateway, phone
from doubles.login_scene import DESK, OTHER_DESK, RIGHT, WRONG, at_once, call, content, scene
from doubles.sockets.login import Login, answer, questions
from doubles.sockets.loopback import Endpoint
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, vendor_gateway
from structlog.testing import capture_logs

from vosd.engine.registration.authentication import PROVEN_MS
from vosd.sip.digest.settings import DigestSettings, LockOutSettings
from vosd.sip.settings import SipSettings


def bounded(*, gateways=(), phones=(), sip=None) -> Scene:
    """Make a scene without other users than these."""
    return Scene(catalogue([vendor_gateway(0), *gateways], phones=phones), sip=sip)


def lock_out(stage, request_client, failures=6, login=WRONG, method="INVITE"):
    for _ in range(failures):
        assert request_client.prove(login, method).status == 401


class TestChallenges:
    def test_a_challenge_leaves_nothing_behind(self):
        stage = scene()
        request_client = stage.exchange.request_client(DESK)
        for _ in range(50):
            assert request_client.ask().status == 401
        assert {name: number for name, number in stage.exchange.endpoint.census().items() if number} == {}
        assert stage.exchange.sink.records == []
        assert stage.exchange.endpoint.dropped == {"unknown source": 50}

    def test_the_ack_of_a_challenge_is_taken_silently(self):
        stage = scene()
        request_client = stage.exchange.request_client(DESK)
        request_client.ask(branch="z9hG4bK-same", call_id="same")
        assert request_client.ask("ACK", branch="z9hG4bK-same", call_id="same") is None
        assert stage.exchange.endpoint.dropped == {"unknown source": 1}  # the INVITE

    def test_a_repeated_request_is_challenged_with_the_same_tag(self):
        stage = scene()
        made = stage.exchange.caller(DESK).call(CALLEE)
        stage.wire.run_for(100)
        made.invite_again()
        stage.wire.run_for(100)
        first, second = made.responses
        assert first["To"] == second["To"]
        assert first.to_tag

    @pytest.mark.parametrize("status", [401, 407])
    def test_no_other_line_is_in_a_challenge_than_it_needs(self, status):
        digest = DigestSettings(realm='say "friend"', status=status)
        response = scene(digest=digest).exchange.request_client(DESK).ask()
        header = {401: "WWW-Authenticate", 407: "Proxy-Authenticate"}[status]
        (value,) = response.every(header)
        assert value.startswith('Digest realm="say \\"friend\\"", nonce="')
        assert value.endswith('", algorithm=MD5, qop="auth"')
        assert [name for name, _ in response.headers] == [
            "via", "from", "to", "call-id", "cseq", "server", header.lower(), "content-length"
        ]  # fmt: skip

    @pytest.mark.parametrize("method", ["INVITE", "REGISTER"])
    def test_a_wrong_user_and_a_wrong_password_look_the_same(self, method):
        stage = scene()
        request_client = stage.exchange.request_client(DESK)

        def refused(login):
            question = request_client.question(method)
            line = answer(question, login, method, request_client.uri(method, CALLEE))
            response = request_client.ask(method, [line], callee=CALLEE)
            varying = {"via", "cseq", "call-id", "to"}
            headers = [(name, value) for name, value in response.headers if name not in varying]
            nonce = questions(response)[0].parameters["nonce"]
            return response.start_line, [(name, value.replace(nonce, "NONCE")) for name, value in headers]

        assert refused(WRONG) == refused(Login("unknown", "guess")) == refused(Login("unknown", "secret"))

    def test_credentials_beside_those_for_others_are_found(self):
        request_client = scene().exchange.request_client(DESK)
        line = answer(request_client.question(), RIGHT, "INVITE", request_client.uri("INVITE", CALLEE))
        others = 'Authorization: Digest realm="elsewhere", username="x", nonce="y", uri="z", response="0"'
        assert request_client.ask(headers=["Authorization: Basic QWxhZGRpbg==", others, line]).status == 180

    def test_credentials_for_another_number_are_refused(self):
        request_client = scene().exchange.request_client(DESK)
        for login in (RIGHT, WRONG):
            question = request_client.question()
            elsewhere = request_client.uri("INVITE", "449009")
            assert request_client.ask(headers=[answer(question, login, "INVITE", elsewhere)]).status == 400

    def test_a_host_in_other_letters_and_parameters_are_no_other_number(self):
        request_client = scene().exchange.request_client(DESK)
        line = answer(
            request_client.question(), RIGHT, "INVITE", f"sip:{CALLEE}@{request_client.switch.host};user=phone"
        )
        assert request_client.ask(headers=[line]).status == 180

    def test_an_answer_that_comes_late_needs_another_nonce_and_is_no_failure(self):
        stage = scene(lock_out=LockOutSettings(1, 60_000))
        request_client = stage.exchange.request_client(DESK)
        question = request_client.question()
        stage.wire.run_for(10_000)
        for login in (RIGHT, WRONG):
            response = request_client.ask(
                headers=[answer(question, login, "INVITE", request_client.uri("INVITE", CALLEE))]
            )
            assert questions(response)[0].is_stale
        assert request_client.prove(RIGHT).status == 180

    def test_a_nonce_is_good_for_several_requests_but_for_none_twice(self):
        stage = scene()
        request_client = stage.exchange.request_client(DESK)
        question = request_client.question()
        lines = [answer(question, RIGHT, "INVITE", request_client.uri("INVITE", CALLEE), count) for count in (1, 3, 2)]
        assert [request_client.ask(headers=[line]).status for line in lines] == [180, 180, 180]
        replayed = [request_client.ask(headers=[line]) for line in lines]
        assert [response.status for response in replayed] == [401, 401, 401]
        assert all(questions(response)[0].is_stale for response in replayed)


class TestWhereNoUserMayBe:
    """Every phone and trunk with a password has ``hosts``: from elsewhere a right password is as good as none."""

    GUARDED = mapping_gateway("guarded", "203.0.113.66/32", credentials=credentials("1001", "secret"))
    AT_DESK = phone("7001", f"{DESK.host}/32")

    @pytest.mark.parametrize("user", [{"gateways": [GUARDED]}, {"phones": [AT_DESK]}], ids=["trunk", "phone"])
    @pytest.mark.parametrize("method", ["INVITE", "REGISTER"])
    def test_an_unknown_source_is_not_challenged_and_its_user_is(self, user, method):
        stage = bounded(**user)
        elsewhere = stage.exchange.request_client(OTHER_DESK)
        assert elsewhere.ask(method) is None
        assert stage.exchange.endpoint.dropped == {"unknown source": 1}
        assert stage.exchange.request_client(DESK).ask(method).status == 401

    @pytest.mark.parametrize("method", ["INVITE", "REGISTER"])
    def test_an_unknown_source_is_refused_where_such_are_answered(self, method):
        stage = bounded(gateways=[self.GUARDED], sip=SipSettings(answers_unknown_sources=True))
        assert stage.exchange.request_client(OTHER_DESK).ask(method).status == 403
        assert stage.exchange.request_client(DESK).ask(method).status == 401

    def test_the_right_password_elsewhere_is_not_looked_at(self):
        stage = bounded(gateways=[self.GUARDED], sip=SipSettings(answers_unknown_sources=True))
        question = stage.exchange.request_client(DESK).question()
        elsewhere = stage.exchange.request_client(OTHER_DESK)
        line = answer(question, RIGHT, "INVITE", elsewhere.uri("INVITE", CALLEE))
        assert elsewhere.ask(headers=[line]).status == 403

    def test_one_user_that_may_be_anywhere_has_every_unknown_source_challenged(self):
        roaming = mapping_gateway("roaming", credentials=credentials("roaming", "secret"))
        stage = bounded(gateways=[self.GUARDED, roaming])
        assert stage.exchange.request_client(OTHER_DESK).ask().status == 401
        stage.exchange.swap_catalogue(catalogue([vendor_gateway(0), self.GUARDED]))
        assert stage.exchange.request_client(OTHER_DESK).ask() is None


class TestLockOut:
    def test_a_source_that_guesses_is_locked_out_until_it_is_unblocked(self):
        stage = scene()
        request_client = stage.exchange.request_client(DESK)
        with capture_logs() as lines:
            lock_out(stage, request_client)
        (line,) = [each for each in lines if each["event"] == "auth_lockout"]
        assert (line["source"], line["failures"], line["log_level"]) == (DESK.host, 6, "warning")
        assert request_client.ask() is None
        assert request_client.ask("REGISTER") is None
        assert stage.exchange.endpoint.dropped == {"unknown source": 6, "wrong credentials": 6, "locked out source": 2}
        now = stage.exchange.clock.now()
        (locked_out,) = stage.exchange.authenticator.locked_out(now)
        assert locked_out.source == DESK.host
        with capture_logs() as lines:
            assert stage.exchange.authenticator.unblock(DESK.host, now)
            assert not stage.exchange.authenticator.unblock(DESK.host, now)
        assert [each["event"] for each in lines] == ["auth_unblocked"]
        assert request_client.prove(RIGHT).status == 180
        assert stage.exchange.authenticator.locked_out(now) == []

    @pytest.mark.parametrize("method", ["INVITE", "REGISTER", "OPTIONS", "MESSAGE", "CANCEL", "BYE"])
    def test_a_locked_out_source_gets_no_answer(self, method):
        stage = scene(sip=SipSettings(answers_unknown_sources=True))
        request_client = stage.exchange.request_client(DESK)
        broken = ["CSeq: 1 OPTIONS"]
        assert [request_client.ask("OPTIONS", headers).status for headers in ([], broken)] == [200, 400]
        lock_out(stage, request_client)
        assert [request_client.ask(method, headers) for headers in ([], broken)] == [None, None]

    def test_a_user_at_home_at_a_locked_out_source_proves_itself_there_and_nothing_else_is_answered(self):
        stage = scene(phone("1001"), phone("1002"), sip=SipSettings(answers_unknown_sources=True))
        desk, neighbour = (stage.exchange.request_client(Endpoint(DESK.host, port)) for port in (5, 6))
        desk.prove(RIGHT, "REGISTER")
        lock_out(stage, neighbour, login=Login("1002", "guess"))
        moved = stage.exchange.request_client(Endpoint(DESK.host, 7))  # another mapping of the NAT
        assert [moved.ask(method) for method in ("OPTIONS", "MESSAGE")] == [None, None]
        assert moved.prove(RIGHT, "REGISTER").status == 200
        assert neighbour.prove(Login("1002", "secret")).status == 503, "whatever it says: this is no place to guess"

    def test_another_address_is_served_meanwhile(self):
        stage = scene()
        lock_out(stage, stage.exchange.request_client(DESK))
        assert stage.exchange.request_client(OTHER_DESK).prove(RIGHT).status == 180

    def test_calls_that_run_go_on_while_their_source_is_locked_out(self):
        stage = scene()
        made = call(stage, RIGHT)
        stage.wire.run_until(lambda: made.final == 200)
        guesser = stage.exchange.request_client(Endpoint(DESK.host, 5))
        lock_out(stage, guesser)
        assert guesser.ask("OPTIONS") is None
        assert stage.finish(made).end_reason == "Normal"

    def test_at_a_locked_out_address_only_its_registered_users_are_served(self):
        stage = scene(phone("1001"), phone("1002"))
        desk = stage.exchange.telephone("1001", DESK)
        desk.register()
        lock_out(stage, stage.exchange.request_client(Endpoint(DESK.host, 5)))
        assert stage.exchange.request_client(Endpoint(DESK.host, 6)).ask("OPTIONS") is None
        assert desk.register().status == 200
        made = desk.call(CALLEE)
        stage.wire.run_until(lambda: made.final == 200)
        stage.finish(made)
        neighbour = stage.exchange.request_client(DESK)
        refused = neighbour.prove(Login("1002", "secret"))
        assert refused.status == 503, "whatever it says: this is no place to guess"
        assert 60 < int(refused["Retry-After"]) <= 180
        assert neighbour.prove(RIGHT, "REGISTER").status == 200
        now = stage.exchange.clock.now()
        assert [each.source for each in stage.exchange.authenticator.locked_out(now)] == [DESK.host]

    @pytest.mark.parametrize("trunk", [CUSTOMER, VENDORS[0]], ids=["customer", "vendor"])
    def test_passwords_are_counted_at_the_address_of_a_trunk_whose_calls_go_on(self, trunk):
        stage = scene()
        request_client = stage.exchange.request_client(trunk)
        with capture_logs() as lines:
            lock_out(stage, request_client, method="REGISTER")
        assert [each["means"] for each in lines if each["event"] == "auth_lockout"] == [
            "its calls go on, other users prove nothing there"
        ]
        assert {request_client.prove(RIGHT, "REGISTER").status for _ in range(20)} == {503}
        if trunk is CUSTOMER:
            assert request_client.ask().status == 180
        authenticator, now = stage.exchange.authenticator, stage.exchange.clock.now()
        assert authenticator.locked_out(now) == []
        assert [each.source for each in authenticator.locked_gateways(now)] == [trunk.host]
        assert authenticator.unblock(trunk.host, now)
        assert request_client.prove(RIGHT, "REGISTER").status == 200

    def test_users_at_home_behind_a_trunk_with_credentials_stay_in_when_others_guess_there(self):
        proxy = mapping_gateway("proxy", f"{DESK.host}/32", account="acme", credentials=credentials("proxy", "x"))
        stage = scene(phone("1001"), phone("1002"), gateways=[proxy])
        request_client = at_once(stage, DESK)
        assert request_client.prove(RIGHT).status == 180
        lock_out(stage, request_client, login=Login("1002", "guess"), method="REGISTER")
        assert request_client.prove(RIGHT).status == 180
        assert request_client.prove(Login("1002", "secret"), "REGISTER").status == 503
        assert [call.call_request.mapping.name for call in stage.exchange.switch.calls()] == ["1001", "1001"]

    def test_a_wrong_request_that_is_repeated_is_one_failure(self):
        stage = scene(lock_out=LockOutSettings(2, 60_000))
        request_client = stage.exchange.request_client(DESK)
        line = answer(request_client.question(), WRONG, "INVITE", request_client.uri("INVITE", CALLEE))
        for _ in range(5):
            response = request_client.ask(headers=[line])
            assert (response.status, questions(response)[0].is_stale) == (401, False)
            assert response.every("Reason") == ['Q.850;cause=21;text="Authentication Failed"']
        assert request_client.prove(RIGHT).status == 180
        assert request_client.prove(WRONG, "REGISTER").every("Reason") == [], "no call has ended"

    def test_a_nonce_is_worth_one_guess(self):
        stage = scene()
        request_client = stage.exchange.request_client(DESK)
        question = request_client.question()
        guesses = [
            answer(question, Login("1001", password), "INVITE", request_client.uri("INVITE", CALLEE), count)
            for count, password in enumerate(["guess", "secret", "secret"], 1)
        ]
        responses = [request_client.ask(headers=[line]) for line in guesses]
        assert [(response.status, questions(response)[0].is_stale) for response in responses] == [
            (401, False), (401, True), (401, True)
        ]  # fmt: skip

    def test_datagrams_with_a_forged_sender_lock_no_source_out(self):
        stage = scene()
        victim, attacker = stage.exchange.request_client(DESK), stage.exchange.request_client(OTHER_DESK)
        for _ in range(10):
            line = answer(attacker.question(), WRONG, "INVITE", victim.uri("INVITE", CALLEE))
            assert questions(victim.ask(headers=[line]))[0].is_stale
        assert victim.prove(RIGHT).status == 180

    def test_no_record_is_left_of_wrong_credentials(self):
        stage = scene()
        stage.exchange.request_client(DESK).prove(WRONG)
        assert stage.exchange.sink.records == []


class TestProofsOfAddresses:
    """From an address with a recent authentication, more than calls and registrations is accepted."""

    def test_an_authentication_counts_as_long_as_a_registration_may_last(self):
        stage = scene()
        request_client = stage.exchange.request_client(DESK)
        request_client.prove(RIGHT, "REGISTER", call_id="reg")
        assert request_client.ask("OPTIONS").status == 200
        stage.wire.run_for(PROVEN_MS)
        assert request_client.ask("OPTIONS") is None
        request_client.prove(RIGHT, "REGISTER", call_id="again")
        assert request_client.ask("OPTIONS").status == 200

    @pytest.mark.parametrize("others", [(phone("1002"),), (phone("1001", enabled=False),)], ids=["gone", "disabled"])
    def test_an_authentication_ends_with_its_user(self, others):
        stage = scene()
        request_client = stage.exchange.request_client(DESK)
        request_client.prove(RIGHT)
        stage.exchange.swap_catalogue(content(*others))
        assert not stage.exchange.authenticator.has_proven(DESK.host, stage.exchange.clock.now())
        assert request_client.prove(RIGHT, "OPTIONS") is None

    def test_a_disabled_user_does_not_make_its_address_known(self):
        stage = scene(phone("1001", enabled=False))
        request_client = stage.exchange.request_client(DESK)
        assert request_client.prove(RIGHT).status == 403
        assert request_client.ask("OPTIONS") is None


class TestTrace:
    def test_messages_of_a_phones_call_are_kept_and_those_of_scanners_are_not(self):
        stage = scene()
        made = call(stage, RIGHT)
        scanner = stage.exchange.request_client(OTHER_DESK)
        scanner.ask(call_id="scan")
        scanner.prove(WRONG, call_id="guess")
        stage.wire.run_until(lambda: made.final == 200)
        trace = stage.exchange.trace
        assert b"SIP/2.0 401 " in trace.messages([made.call_id])[1].entry[4]
        stage.finish(made)
        assert trace.messages(["scan"]) == trace.messages(["guess"]) == []

    def test_registrations_are_not_kept(self):
        stage = scene()
        request_client = stage.exchange.request_client(DESK)
        request_client.prove(RIGHT)
        request_client.ask("REGISTER", call_id="refresh")
        assert stage.exchange.trace.messages(["refresh"]) == []
