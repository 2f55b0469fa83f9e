"""One registration of ours at a vendor: asking and proof (RFC 3261 section 10.2)."""

from itertools import pairwise

import pytest
from doubles.conformance import faults_of
from doubles.registration_stage import SLACK, TERMS, RegistrationStage, guarded
from doubles.vendor_registrar import Told
from doubles.virtual.exchange import SWITCH

from vosd.base.credentials import Login
from vosd.base.secret import Secret
from vosd.sip.registration.outbound import BACK_OFF_MS, EXPIRES_MAX_S, REFRESH_MIN_MS
from vosd.sip.registration.states import RegistrationChange, RegistrationState


@pytest.fixture
def stage():
    made = RegistrationStage()
    yield made
    assert faults_of(made.wire.packets, SWITCH) == []


class TestAsking:
    """What a REGISTER looks like, and what an answer makes of it."""

    def test_it_names_the_account_twice_and_us_once(self, stage):
        stage.run(SLACK)
        (register,) = stage.vendor.registered
        assert register.start_line == "REGISTER sip:vendor.example SIP/2.0"
        assert register["To"] == "<sip:alice@vendor.example>"
        assert register["From"].startswith("<sip:alice@vendor.example>;tag=")
        assert register["Contact"] == "<sip:trunk7@192.0.2.1:5060>"
        assert register["Expires"] == "3600"
        assert register["CSeq"] == "1 REGISTER"

    def test_a_registration_holds(self, stage):
        assert stage.registrant.state is RegistrationState.UNREGISTERED
        stage.run(SLACK)
        registrant = stage.registrant
        assert (registrant.state, registrant.is_registered, registrant.last_status) == (
            RegistrationState.REGISTERED,
            True,
            200,
        )
        assert stage.news == [RegistrationChange.GAINED]
        assert registrant.contact == "sip:trunk7@192.0.2.1:5060"

    def test_all_registers_share_a_call_id_and_count_on(self, stage):
        stage.vendor.grants_s = 100
        stage.run(1_000_000)
        registers = stage.vendor.registered
        assert len(registers) > 10
        assert len({each["Call-ID"] for each in registers}) == 1
        assert len({each["From"] for each in registers}) == 1
        assert [each["CSeq"] for each in registers] == [f"{n} REGISTER" for n in range(1, len(registers) + 1)]
        assert stage.news == [RegistrationChange.GAINED]

    @pytest.mark.parametrize(
        ("granted_s", "after_s"), [(3_600, 2_880), (210, 168), (120, 78), (63, 21), (60, 20), (30, 10), (10, 5)]
    )
    def test_it_is_refreshed_at_80_percent_of_what_was_granted_or_early_enough_to_be_repeated(
        self, stage, granted_s, after_s
    ):
        """A third of a brief time; else 32 s for a silent registrar are left, and 10 s for the next refresh."""
        stage.vendor.grants_s = granted_s
        stage.run(1_000 * 4 * granted_s)
        times = stage.asked_after()
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert gaps
        assert all(1_000 * after_s <= gap <= 1_000 * after_s + 50 for gap in gaps)
        assert stage.news == [RegistrationChange.GAINED]

    @pytest.mark.parametrize(
        ("headers", "granted_s"),
        [
            (("Contact: <sip:trunk7@192.0.2.1:5060>;expires=60", "Expires: 900"), 60),
            (("Contact: <sip:trunk7@192.0.2.1:5060>", "Expires: 900"), 900),
            (("Contact: <sip:trunk7@192.0.2.1:5060>",), 3_600),
            (("Contact: <sip:x@9.9.9.9>;expires=7, <sip:trunk7@192.0.2.1:5060>;expires=70",), 70),
            (("Contact: <sip:trunk7@198.51.100.99:1024>;expires=80",), 80),
            (("Contact: <sip:trunk7@198.51.100.99:1024>;expires=80", "Expires: 500"), 80),
            (("Contact: <sip:x@9.9.9.9>;expires=7, <sip:y@9.9.9.9>;expires=8", "Expires: 500"), 500),
            (("Contact: <sip:x@9.9.9.9>;expires=60, <sip:y@9.9.9.9>;expires=45, <sip:z@9.9.9.9>;expires=0",), 45),
            (("Contact: <sip:x@9.9.9.9>, <sip:y@9.9.9.9>",), 3_600),
            (("Contact: <sip:x@9.9.9.9>;expires=45, <sip:trunk7@192.0.2.1:5060>",), 3_600),
            (("Contact: what?", "Expires: 600"), 600),
            (("Expires: 99999999999999999999",), EXPIRES_MAX_S),
            (("X: y",), 3_600),
        ],
    )
    def test_what_is_granted(self, stage, headers, granted_s):
        stage.vendor.script.append(Told(200, headers))
        stage.run(100)
        assert stage.registrant.expires_at is not None
        left_ms = stage.registrant.expires_at.mono - stage.now.mono
        assert 1_000 * granted_s - 100 <= left_ms <= 1_000 * granted_s

    def test_nothing_granted_is_no_registration(self, stage):
        stage.vendor.script.append(Told(200, ("Contact: <sip:trunk7@192.0.2.1:5060>;expires=0",)))
        stage.run(SLACK)
        assert stage.registrant.state is RegistrationState.UNREGISTERED
        assert stage.news == [RegistrationChange.LOST]

    def test_little_granted_makes_no_storm(self, stage):
        stage.vendor.always = Told(200, ("Contact: <sip:trunk7@192.0.2.1:5060>;expires=1",))
        stage.run(60_000)
        assert len(stage.vendor.registered) <= 60_000 // REFRESH_MIN_MS + 1

    def test_423_is_asked_again_at_once_for_as_long_as_wanted(self, stage):
        stage.vendor.script.append(Told(423, ("Min-Expires: 7200",)))
        stage.vendor.grants_s = 10_000
        stage.run(SLACK)
        assert [each["Expires"] for each in stage.vendor.registered] == ["3600", "7200"]
        assert stage.registrant.state is RegistrationState.REGISTERED

    @pytest.mark.parametrize("least", ["Min-Expires: 3600", "Min-Expires: 9999999", "X: y", "Min-Expires: 0"])
    def test_423_that_does_not_help_is_a_failure(self, stage, least):
        stage.vendor.script.append(Told(423, (least,)))
        stage.run(SLACK)
        assert len(stage.vendor.registered) == 1
        assert stage.registrant.state is RegistrationState.UNREGISTERED

    def test_a_423_is_followed_once(self, stage):
        stage.vendor.script.extend(Told(423, (f"Min-Expires: {wanted}",)) for wanted in range(4_000, 5_000, 100))
        stage.run(SLACK)
        assert len(stage.vendor.registered) == 2

    @pytest.mark.parametrize(
        "route",
        [
            "<sip:strict.vendor.example>",
            "sip:bare.vendor.example",
            "<tel:123;lr>",
            "what?",
            "<sip:a.vendor.example;lr>, <sip:b.vendor.example>",
            ", ".join(["<sip:a.vendor.example;lr>"] * 9),
            f"<sip:{'a' * 1_100}.example;lr>",
        ],
    )
    def test_a_route_that_cannot_be_taken_whole_is_not_taken(self, stage, route):
        stage.vendor.script.append(Told(200, (f"Service-Route: {route}",)))
        stage.run(SLACK)
        assert stage.registrant.service_route == ()
        assert stage.registrant.state is RegistrationState.REGISTERED

    def test_the_service_route_is_kept(self, stage):
        routes = ("Service-Route: <sip:edge.vendor.example;lr>, <sip:core.vendor.example;lr>",)
        stage.vendor.script.append(Told(200, routes))
        stage.run(SLACK)
        assert stage.registrant.service_route == ("<sip:edge.vendor.example;lr>", "<sip:core.vendor.example;lr>")


class TestProof:
    """Digests."""

    @pytest.mark.parametrize("algorithms", [("MD5",), ("SHA-256", "MD5")])
    @pytest.mark.parametrize("status", [401, 407])
    def test_a_challenge_is_answered(self, algorithms, status):
        guard = guarded(algorithms=algorithms, status=status)
        stage = RegistrationStage(guard)
        stage.run(SLACK)
        assert stage.registrant.state is RegistrationState.REGISTERED
        assert (guard.challenged, guard.passed, guard.refusals) == (1, 1, [])
        assert faults_of(stage.wire.packets, SWITCH) == []

    def test_refreshes_have_credentials_at_once(self):
        guard = guarded()
        stage = RegistrationStage(guard)
        stage.vendor.grants_s = 60
        stage.run(600_000)
        assert guard.challenged == 1
        assert guard.passed > 10
        assert guard.refusals == []

    def test_a_stale_nonce_costs_one_round(self):
        guard = guarded(uses=3)
        stage = RegistrationStage(guard)
        stage.vendor.grants_s = 60
        stage.run(600_000)
        assert set(guard.refusals) == {"stale"}
        assert stage.news == [RegistrationChange.GAINED]
        assert stage.registrant.failures == 0

    def test_nonces_that_are_always_stale_are_answered_six_times(self):
        guard = guarded(uses=0)
        stage = RegistrationStage(guard)
        stage.run(SLACK)
        assert guard.challenged == 7
        assert (stage.registrant.state, stage.registrant.last_status) == (RegistrationState.REFUSED, 401)

    def test_a_proxy_and_the_registrar_behind_it_are_both_satisfied(self):
        stage = RegistrationStage(guarded(status=407, realm="proxy"), guarded(realm="registrar"))
        stage.run(SLACK)
        assert stage.registrant.state is RegistrationState.REGISTERED

    def test_a_wrong_password_is_sent_once(self):
        """Each time counts towards the vendor's lock-out, which would take other accounts of ours with it."""
        guard = guarded(password="another")
        stage = RegistrationStage(guard)
        stage.run(SLACK)
        assert guard.refusals == ["response"]
        assert (stage.registrant.state, stage.registrant.last_status) == (RegistrationState.REFUSED, 401)
        assert stage.news == [RegistrationChange.REFUSED]

    def test_a_wrong_password_is_tried_rarely_and_reported_once(self):
        guard = guarded(password="another")
        stage = RegistrationStage(guard)
        stage.run(BACK_OFF_MS * 9 // 10 - SLACK)
        assert guard.refusals == ["response"]
        stage.run(2 * SLACK)
        assert len(guard.refusals) > 1
        assert stage.news == [RegistrationChange.REFUSED]

    def test_a_password_that_is_mended_is_shown_at_once(self):
        stage = RegistrationStage(guarded(password="another"))
        stage.run(SLACK)
        stage.registrant.amend(TERMS._replace(login=Login("alice", Secret("another"))), stage.now)
        stage.run(SLACK)
        assert stage.registrant.state is RegistrationState.REGISTERED
        assert stage.news == [RegistrationChange.REFUSED, RegistrationChange.GAINED]
        assert len({each["Call-ID"] for each in stage.vendor.received("REGISTER")}) == 1

    def test_another_login_while_one_is_asked_for_leaves_one_request(self):
        stage = RegistrationStage()
        stage.vendor.is_silent = True
        stage.run(SLACK)
        stage.vendor.is_silent = False
        stage.registrant.amend(TERMS._replace(expires_s=600), stage.now)
        stage.run(40_000)
        assert [each["Expires"] for each in stage.vendor.registered] == ["600"]
        assert stage.registrant.state is RegistrationState.REGISTERED
