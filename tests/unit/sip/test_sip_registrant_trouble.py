"""Registrations of ours that fail, are refused, and are taken back."""

from itertools import cycle, pairwise

import pytest
from doubles.conformance import faults_of
from doubles.registration_stage import GIVE_UP, OTHER, SLACK, TERMS, VENDOR, RegistrationStage, guarded
from doubles.sockets.loopback import Endpoint
from doubles.vendor_registrar import Told, VendorRegistrar
from doubles.virtual.exchange import SWITCH

from vosd.sip.flows import Hop
from vosd.sip.registration.outbound import BACK_OFF_MAX_MS, BACK_OFF_MS
from vosd.sip.registration.registrar_address import RegistrarAddress
from vosd.sip.registration.states import RegistrationChange, RegistrationState
from vosd.sip.wire.outgoing import Peer

THIRD = Endpoint("203.0.113.11", 5060)


@pytest.fixture
def stage():
    made = RegistrationStage()
    yield made
    assert faults_of(made.wire.packets, SWITCH) == []


def rotated(hops, by):
    return [*hops[by:], *hops[:by]]


class TestFailures:
    """What does not work is tried again, ever more rarely."""

    def test_waits_double_from_30_s_to_300_s(self, stage):
        stage.vendor.always = Told(500)
        stage.run(1_500_000)
        times = stage.asked_after()
        gaps = [(later - earlier) / 1_000 for earlier, later in pairwise(times)]
        assert gaps[:6] == pytest.approx([27, 54, 108, 216, 270, 270], abs=0.05)  # a tenth is drawn, here nothing
        assert stage.news == [RegistrationChange.LOST]
        assert stage.registrant.failures == len(times)

    @pytest.mark.parametrize(("drawn", "wait_ms"), [(lambda _most: 0, 27_000), (lambda most: most - 1, 33_000)])
    def test_the_draw_moves_a_wait_by_a_tenth(self, drawn, wait_ms):
        stage = RegistrationStage(draw=drawn)
        stage.vendor.always = Told(500)
        stage.run(40_000)
        assert stage.asked_after()[1] == pytest.approx(wait_ms, abs=50)

    def test_silence_is_a_failure_after_64_t1(self, stage):
        stage.vendor.is_silent = True
        stage.run(GIVE_UP + SLACK)
        assert (stage.registrant.state, stage.registrant.last_status) == (RegistrationState.UNREGISTERED, 0)
        assert stage.news == [RegistrationChange.LOST]
        stage.vendor.is_silent = False
        stage.run(BACK_OFF_MS)
        assert stage.news == [RegistrationChange.LOST, RegistrationChange.GAINED]
        assert stage.registrant.failures == 0

    def test_a_failed_refresh_loses_nothing_before_its_time(self, stage):
        stage.vendor.grants_s = 300
        stage.run(SLACK)
        stage.vendor.always = Told(503)
        stage.run(299_000 - SLACK)
        assert stage.registrant.is_registered
        assert stage.registrant.failures > 0
        assert stage.news == [RegistrationChange.GAINED]
        stage.run(2_000)
        assert not stage.registrant.is_registered
        assert stage.news == [RegistrationChange.GAINED, RegistrationChange.LOST]

    def test_a_registration_that_runs_out_while_it_is_refreshed_is_lost_then(self, stage):
        stage.vendor.grants_s = 60
        stage.run(SLACK)
        stage.vendor.is_silent = True
        stage.run(58_000)
        assert stage.registrant.state is RegistrationState.REFRESHING
        stage.run(2_000)
        assert stage.registrant.state is RegistrationState.TRYING
        assert stage.news == [RegistrationChange.GAINED, RegistrationChange.LOST]

    @pytest.mark.parametrize("granted_s", [57, 60, 100, 300, 3_600])
    @pytest.mark.parametrize("drawn", [lambda _most: 0, lambda most: most - 1], ids=["soonest", "latest"])
    def test_a_registrar_that_is_silent_until_a_refresh_has_timed_out_keeps_the_registration(self, granted_s, drawn):
        stage = RegistrationStage(draw=drawn)
        stage.vendor.grants_s = granted_s
        stage.run(SLACK)
        stage.vendor.is_silent = True
        asked = len(stage.asked_after())
        while stage.registrant.state is not RegistrationState.REFRESHING:
            stage.run(100)
        stage.run(GIVE_UP + 100)
        assert stage.registrant.failures == 1
        stage.vendor.is_silent = False
        stage.run(1_000 * granted_s)
        assert len(stage.asked_after()) > asked
        assert (stage.registrant.is_registered, stage.news) == (True, [RegistrationChange.GAINED])

    def test_a_refresh_that_is_refused_loses_at_once(self, stage):
        stage.vendor.grants_s = 100
        stage.run(SLACK)
        stage.vendor.always = Told(403)
        stage.run(80_000)
        assert stage.registrant.state is RegistrationState.REFUSED
        assert stage.registrant.expires_at is None
        assert stage.news == [RegistrationChange.GAINED, RegistrationChange.LOST, RegistrationChange.REFUSED]

    @pytest.mark.parametrize("status", [401, 402, 403, 404, 405, 407, 410, 501, 604])
    def test_a_refusal_waits_30_seconds_and_doubles_to_300(self, stage, status):
        stage.vendor.always = Told(status)
        stage.run(1_700_000)
        gaps = [(later - earlier) / 1_000 for earlier, later in pairwise(stage.asked_after())]
        assert gaps[:6] == pytest.approx([27, 54, 108, 216, 270, 270], abs=0.05)  # a tenth is drawn, here nothing
        assert stage.registrant.state is RegistrationState.REFUSED
        assert stage.news == [RegistrationChange.REFUSED]

    def test_an_account_that_is_mended_after_a_refusal_is_registered_within_five_minutes(self, stage):
        stage.vendor.always = Told(403)
        stage.run(1_700_000)
        stage.vendor.always = None
        stage.run(330_000)
        assert stage.registrant.state is RegistrationState.REGISTERED
        assert (stage.registrant.failures, stage.news) == (0, [RegistrationChange.REFUSED, RegistrationChange.GAINED])

    def test_retry_after_of_a_refusal_is_obeyed(self, stage):
        stage.vendor.script.append(Told(403, ("Retry-After: 900",)))
        stage.run(1_000_000)
        assert stage.asked_after()[1] == pytest.approx(900_000, abs=50)

    @pytest.mark.parametrize("status", [301, 302, 305, 400, 408, 420, 480, 486, 500, 503, 600])
    def test_anything_else_is_a_matter_of_time_and_no_redirection_is_followed(self, stage, status):
        stage.vendor.script.append(Told(status, ("Contact: <sip:evil@203.0.113.66>",)))
        stage.run(SLACK)
        assert stage.registrant.state is RegistrationState.UNREGISTERED
        stage.run(BACK_OFF_MS)
        assert stage.registrant.state is RegistrationState.REGISTERED
        assert {packet.target for packet in stage.wire.packets if packet.source == SWITCH} == {VENDOR}

    @pytest.mark.parametrize(("wanted", "wait_s"), [("120", 120), ("1", 5), ("86400", 3_600)])
    def test_retry_after_is_obeyed_within_reason(self, stage, wanted, wait_s):
        stage.vendor.script.append(Told(503, (f"Retry-After: {wanted}",)))
        stage.run(5_000_000)
        assert stage.asked_after()[1] == pytest.approx(1_000 * wait_s, abs=50)

    def test_no_attempt_comes_before_the_time_of_retry_after_whatever_is_drawn(self):
        stage = RegistrationStage(draw=lambda most: most - 1)
        stage.vendor.script.append(Told(503, ("Retry-After: 120",)))
        stage.run(200_000)
        assert stage.asked_after()[1] == pytest.approx(132_000, abs=50)

    def test_where_one_address_is_silent_the_next_is_asked_and_kept(self, stage):
        other = VendorRegistrar(stage.wire, OTHER, SWITCH)
        other.grants_s = 60
        stage.places.append(Hop(*OTHER, None))
        stage.vendor.is_silent = True
        stage.run(GIVE_UP + SLACK)
        assert stage.registrant.is_registered
        assert len(other.registered) == 1
        stage.run(600_000)
        assert stage.news == [RegistrationChange.GAINED]
        assert len(stage.vendor.asked_at) == 1

    def test_where_one_address_is_closed_the_next_is_asked_without_waiting_for_the_time_out(self, stage):
        """RFC 3261 section 18.4: an ICMP error ends the wait."""
        other = VendorRegistrar(stage.wire, OTHER, SWITCH)
        stage.places.append(Hop(*OTHER, None))
        stage.vendor.is_silent = True
        stage.run(SLACK)
        asked, exchange = stage.wire.packets[0], stage.exchange
        event = exchange.endpoint.undelivered(asked.data[:520], Peer(0, *VENDOR), stage.now)
        exchange.switch.handle(event)
        exchange.flush()
        stage.run(SLACK)
        assert stage.registrant.is_registered
        assert len(other.registered) == 1
        assert stage.news == [RegistrationChange.GAINED]

    def test_a_refresh_that_fails_at_one_address_goes_to_the_next_at_once(self, stage):
        """RFC 3263 section 4.3."""
        other = VendorRegistrar(stage.wire, OTHER, SWITCH)
        stage.vendor.grants_s = other.grants_s = 300
        stage.places.append(Hop(*OTHER, None))
        stage.run(SLACK)
        stage.vendor.always = Told(503)
        stage.run(3_000_000)
        assert stage.news == [RegistrationChange.GAINED]
        assert len(stage.vendor.asked_at) == 2
        assert len(other.registered) == 12

    def test_an_attempt_asks_each_address_once_and_the_next_one_waits(self, stage):
        registrars = [stage.vendor, *(VendorRegistrar(stage.wire, each, SWITCH) for each in (OTHER, THIRD))]
        stage.places += [Hop(*OTHER, None), Hop(*THIRD, None)]
        for each in registrars:
            each.always = Told(503)
        stage.run(100_000)
        for each in registrars:
            assert [(at - stage.began_at) / 1_000 for at in each.asked_at] == pytest.approx([0, 27, 81], abs=0.1)
        assert (stage.registrant.failures, stage.news) == (3, [RegistrationChange.LOST])

    def test_a_name_with_another_address_each_time_is_not_asked_without_end(self, stage):
        numbers = iter(range(1, 200))
        stage.redraw = lambda _hops: [Hop(f"203.0.113.{next(numbers)}", 5060, None) for _ in range(2)]
        registrars = [
            VendorRegistrar(stage.wire, Endpoint(f"203.0.113.{number}", 5060), SWITCH) for number in range(1, 200)
        ]
        for each in registrars:
            each.always = Told(503)
        stage.run(20_000)
        assert sum(len(each.asked_at) for each in registrars) == 2

    def test_retry_after_keeps_from_the_address_that_has_sent_it_alone(self, stage):
        """RFC 3261 section 21.5.4, RFC 3263 section 4.3."""
        other = VendorRegistrar(stage.wire, OTHER, SWITCH)
        stage.places.append(Hop(*OTHER, None))
        stage.vendor.script.append(Told(503, ("Retry-After: 120",)))
        stage.run(SLACK)
        assert stage.registrant.is_registered
        assert (len(stage.vendor.asked_at), len(other.asked_at)) == (1, 1)
        assert stage.news == [RegistrationChange.GAINED]

    def test_an_address_that_rests_is_left_out_until_its_time_is_over(self, stage):
        other = VendorRegistrar(stage.wire, OTHER, SWITCH)
        stage.places.append(Hop(*OTHER, None))
        stage.vendor.always, other.always = Told(503, ("Retry-After: 120",)), Told(503)
        stage.run(200_000)
        asked = [[round((at - stage.began_at) / 1_000) for at in each.asked_at] for each in (stage.vendor, other)]
        assert asked == [[0, 189], [0, 27, 81, 189]]

    def test_a_success_forgets_which_addresses_have_failed_before(self, stage):
        """The order of the name counts again: RFC 2782."""
        stage.places += [Hop(*OTHER, None), Hop(*THIRD, None)]
        address = RegistrarAddress(lambda: stage.places)
        first, second, third = stage.places
        for each in (first, second):
            assert address.choose() == each
            address.failed()
        assert address.choose() == third
        address.answered()
        address.succeeded()
        assert address.choose() == third, "it has answered last"
        address.failed()
        assert address.choose() == first
        stage.places.reverse()
        assert address.choose() == second

    def test_where_all_addresses_rest_the_first_that_may_be_asked_again_is(self, stage):
        registrars = [stage.vendor, *(VendorRegistrar(stage.wire, each, SWITCH) for each in (OTHER, THIRD))]
        stage.places += [Hop(*OTHER, None), Hop(*THIRD, None)]
        for each, wait_s in zip(registrars, (120, 20, 60), strict=True):
            each.always = Told(503, (f"Retry-After: {wait_s}",))
        stage.run(59_000)
        asked = [[round((at - stage.began_at) / 1_000) for at in each.asked_at] for each in registrars]
        assert asked == [[0], [0, 20, 40], [0]]
        registrars[2].always = None
        stage.run(2_000)
        assert stage.registrant.is_registered
        assert len(registrars[0].asked_at) == 1

    @pytest.mark.parametrize("granted_s", [30, 60, 90, 120, 300, 3_600])
    def test_a_refresh_that_fails_is_repeated_before_the_registration_ends(self, stage, granted_s):
        stage.vendor.grants_s = granted_s
        stage.run(SLACK)
        stage.vendor.script.append(Told(503))
        stage.run(1_000 * granted_s * 2)
        assert stage.news == [RegistrationChange.GAINED]

    def test_repetitions_that_are_hurried_lengthen_no_later_wait(self, stage):
        stage.vendor.grants_s = 60
        stage.run(SLACK)
        stage.vendor.always = Told(503)
        stage.run(140_000)
        asked = [round(at / 1_000) for at in stage.asked_after()]
        assert asked == [0, 20, 38, 48, 53, 58, 62, 89]
        assert stage.news == [RegistrationChange.GAINED, RegistrationChange.LOST]

    def test_no_address_is_asked_again_before_the_others_in_whatever_order_they_are_drawn(self, stage):
        registrars = [stage.vendor, *(VendorRegistrar(stage.wire, each, SWITCH) for each in (OTHER, THIRD))]
        stage.places += [Hop(*OTHER, None), Hop(*THIRD, None)]
        drawn = cycle([0, 2, 1])
        stage.redraw = lambda hops: rotated(hops, next(drawn))
        for each in registrars:
            each.is_silent = True
        stage.run(3_000_000)
        hosts = [host for _, host in sorted((at, each.address.host) for each in registrars for at in each.asked_at)]
        assert len(hosts) > 6
        assert all(len({*hosts[first : first + 3]}) == 3 for first in range(len(hosts) - 2))

    def test_an_address_that_answers_is_kept_in_whatever_order_they_are_drawn(self, stage):
        other = VendorRegistrar(stage.wire, OTHER, SWITCH)
        other.grants_s = 60
        stage.places.append(Hop(*OTHER, None))
        stage.vendor.is_silent = True
        drawn = cycle([1, -1])
        stage.redraw = lambda hops: hops[:: next(drawn)]
        stage.run(1_200_000)
        assert stage.news == [RegistrationChange.GAINED]
        assert len(stage.vendor.asked_at) == 1

    def test_an_address_that_answers_is_kept_while_the_name_has_none(self, stage):
        other = VendorRegistrar(stage.wire, OTHER, SWITCH)
        other.grants_s = 300
        stage.places.append(Hop(*OTHER, None))
        stage.vendor.is_silent = True
        stage.run(GIVE_UP + SLACK)
        places, stage.places = stage.places, []
        stage.run(245_000)
        assert stage.registrant.failures == 1
        stage.places = places
        stage.run(600_000)
        assert stage.news == [RegistrationChange.GAINED]
        assert len(stage.vendor.asked_at) == 1

    def test_an_address_that_wants_a_longer_time_gets_it(self, stage):
        other = VendorRegistrar(stage.wire, OTHER, SWITCH)
        stage.places.append(Hop(*OTHER, None))
        drawn = cycle([1, -1])
        stage.redraw = lambda hops: hops[:: next(drawn)]
        stage.vendor.script.append(Told(423, ("Min-Expires: 7200",)))
        stage.run(SLACK)
        assert [each["Expires"] for each in stage.vendor.registered] == ["3600", "7200"]
        assert other.registered == []

    def test_a_name_that_leads_nowhere_is_a_failure(self, stage):
        stage.places.clear()
        stage.run(SLACK)
        assert (stage.registrant.state, stage.registrant.last_status) == (RegistrationState.UNREGISTERED, 0)
        stage.places.append(Hop(*VENDOR, None))
        stage.run(BACK_OFF_MS)
        assert stage.registrant.is_registered

    def test_no_failure_goes_on_asking_faster_than_the_greatest_wait_allows(self, stage):
        stage.vendor.always = Told(500)
        stage.run(100 * BACK_OFF_MAX_MS)
        assert len(stage.vendor.asked_at) < 125


class TestLeaving:
    """An orderly end takes the registration back."""

    def test_what_holds_is_taken_back(self, stage):
        stage.run(SLACK)
        assert stage.vendor.holds
        stage.leave()
        assert stage.registrant.state is RegistrationState.LEAVING
        stage.run(SLACK)
        assert stage.vendor.registered[-1]["Expires"] == "0"
        assert stage.vendor.holds == []
        assert stage.registrant.state is RegistrationState.GONE
        stage.run(10_000_000)
        assert len(stage.vendor.registered) == 2
        assert stage.exchange.residue() == {}

    def test_what_holds_is_taken_back_where_it_is(self, stage):
        other = VendorRegistrar(stage.wire, OTHER, SWITCH)
        stage.places.append(Hop(*OTHER, None))
        stage.vendor.is_silent = True
        stage.run(GIVE_UP + BACK_OFF_MS + SLACK)
        assert other.holds
        stage.leave()
        stage.run(SLACK)
        assert other.holds == []
        assert stage.registrant.state is RegistrationState.GONE

    @pytest.mark.parametrize("is_refreshing", [False, True])
    def test_what_holds_is_taken_back_where_its_name_is_not_looked_up_any_more(self, stage, is_refreshing):
        stage.run(SLACK)
        if is_refreshing:
            stage.registrant.amend(TERMS._replace(expires_s=600), stage.now)
            stage.wire.run_until(lambda: stage.registrant.state is RegistrationState.REFRESHING)
        stage.places.clear()
        stage.leave()
        stage.run(SLACK)
        assert stage.vendor.holds == []
        assert stage.registrant.state is RegistrationState.GONE

    def test_removal_has_credentials_too(self):
        guard = guarded(uses=1)
        stage = RegistrationStage(guard)
        stage.run(SLACK)
        stage.leave()
        stage.run(SLACK)
        assert stage.registrant.state is RegistrationState.GONE
        assert stage.vendor.holds == []

    def test_what_never_was_is_not_taken_back(self, stage):
        stage.leave()
        assert stage.registrant.state is RegistrationState.GONE
        stage.run(SLACK)
        assert stage.vendor.heard == []
        assert stage.exchange.residue() == {}

    def test_what_is_asked_for_at_that_moment_is_taken_back_once_it_is_there(self, stage):
        stage.run(10)
        stage.registrant.amend(TERMS, stage.now)
        stage.wire.run_until(lambda: stage.registrant.state is RegistrationState.REFRESHING)
        stage.leave()
        assert stage.registrant.state is RegistrationState.PARTING
        stage.run(SLACK)
        assert stage.registrant.state is RegistrationState.GONE
        assert stage.vendor.holds == []

    def test_a_silent_vendor_does_not_delay_the_removal(self, stage):
        stage.run(SLACK)
        stage.vendor.is_silent = True
        stage.leave()
        stage.run(GIVE_UP + SLACK)
        assert stage.registrant.state is RegistrationState.GONE
        assert stage.exchange.residue() == {}

    def test_leaving_twice_is_leaving(self, stage):
        stage.run(SLACK)
        stage.leave()
        stage.leave()
        stage.run(SLACK)
        assert [each["Expires"] for each in stage.vendor.registered] == ["3600", "0"]
