"""Telephones at unknown addresses: challenged, let in, and not heard any more."""

from collections.abc import Iterator
from decimal import Decimal

import pytest
from doubles.daemon import Daemon
from doubles.sockets.login import Login, answer_to, questions
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import ANSWER, OutgoingCall, Peer, compose
from doubles.sockets.sipp import Sipp

from vosd.obs.events import Event

from .addresses import CHALLENGING_SWITCH, PHONES, VENDORS
from .expectations import BUY, CYCLE_S, SELL, TAX, cycles_of
from .stage import Caller, Stage, Vendor, configuration

pytestmark = pytest.mark.sipp


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A switch of telephones."""
    with Daemon(tmp_path_factory.mktemp("phones"), configuration("challenges.yaml", CHALLENGING_SWITCH)) as daemon:
        stage = Stage(daemon, CHALLENGING_SWITCH, Event.AUTH_LOCKOUT)
        stage.pay("office", "100")
        yield stage
        stage.expect_timers_run_out()
        stage.expect_books_in_order()
        assert daemon.interrupt() == 0
        stage.expect_clean_log()


def register(stage: Stage, scenario: str, source: Endpoint, *, calls: int = 1, **values: str) -> Sipp:
    """Prepare a telephone that registers."""
    return stage.caller(Caller(scenario, {"caller": "1001", **values}), stage.number("44"), source, calls=calls)


def play(party: Sipp) -> None:
    with party:
        party.wait()


def locked_out(stage: Stage) -> list[str]:
    return [each["source"] for each in stage.daemon.ask("unblock", "--list")]


def events(stage: Stage, name: str, source: Endpoint) -> int:
    lines = [line for line in stage.daemon.log() if line.get("event") == name]
    return sum(str(line["source"]) in {source.host, str(source)} for line in lines)


def test_a_phone_proves_who_it_is_and_its_account_pays_for_the_call(stage: Stage) -> None:
    callee, before = stage.number("44"), stage.balance_of("office")
    source = Endpoint(PHONES["desk"], 14_971)
    options = ("-cid_str", "customer-%u-%p", "-auth_uri", f"{callee}@{stage.address}")
    with (
        stage.vendor(Vendor("carrier-a", "answers"), callee) as vendor,
        stage.caller(Caller("proves_itself_and_hangs_up"), callee, source, options=options) as caller,
    ):
        caller.wait()
        vendor.wait()
    stage.expect_nothing_left()
    record = stage.record_of(callee)
    assert (record["mapping_gateway"], record["customer_account"]) == ("1001", "office")
    assert (record["end_reason"], record["hangup_source"], record["sip_code"]) == ("Normal", "caller", 200)
    assert (record["caller_in"], record["caller_out"]) == ("12025550100", "12025550100")
    assert record["source_address"] == str(source)
    cycles, amounts = cycles_of(record), [Decimal(record[name]) for name in ("fee", "tax", "cost")]
    assert (record["billed_seconds"], amounts) == (cycles * CYCLE_S, [cycles * each for each in (SELL, TAX, BUY)])
    assert stage.balance_of("office") == before - cycles * (SELL + TAX)


@pytest.fixture
def strong_stage(stage: Stage) -> Iterator[Stage]:
    """The same switch while it asks for SHA-256 first; SIPp knows MD5 only, and only as the first challenge."""
    usual = configuration("challenges.yaml", CHALLENGING_SWITCH)
    stage.daemon.configure(usual.replace("algorithms: MD5", "algorithms: [SHA-256, MD5]"))
    stage.daemon.succeed("reload")
    yield stage
    stage.daemon.configure(usual)
    stage.daemon.succeed("reload")


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_a_reload_adds_an_algorithm_and_a_phone_may_choose_it(strong_stage: Stage, algorithm: str) -> None:
    stage = strong_stage
    with Peer(Endpoint(PHONES["desk"], 14_972)) as phone, Peer(VENDORS["carrier-a"]) as vendor:
        call = OutgoingCall(phone, stage.address, stage.number("44"), caller="1001")
        call.invite()
        challenge = call.refused()
        assert [each.parameters["algorithm"] for each in questions(challenge)] == ["SHA-256", "MD5"]
        proof = answer_to(challenge, Login("1001", "secret", algorithm), "INVITE", call.target)
        assert proof is not None
        call.remote_to = f"<{call.target}>"
        call.invite([proof], cseq=2)
        vendor.reply(vendor.expect("INVITE"), 200, tag="vendor", body=ANSWER)
        call.answered(cseq=2)
        vendor.expect("ACK")
        assert call.hang_up(3).status == 200
        vendor.reply(vendor.expect("BYE"), 200)
    stage.expect_nothing_left()
    assert stage.record_of(call.callee)["mapping_gateway"] == "1001"


class TestLockOut:
    """Row by row; that time ends a lock-out is shown on virtual time by the vectors of kind auth_lockout."""

    def test_a_source_that_guesses_is_put_on_the_list_and_not_heard_until_it_is_taken_off(self, stage: Stage) -> None:
        source = Endpoint(PHONES["guesser"], 14_973)
        wrong = {"password": "guess", "status": "401"}
        play(register(stage, "registers_with_a_password", source, calls=5, **wrong))  # rows 1 and 2
        assert locked_out(stage) == []
        play(register(stage, "registers_with_a_password", source, **wrong))  # row 3
        (row,) = stage.daemon.ask("unblock", "--list")
        assert (row["source"], row["cause"], row["username"]) == (source.host, "wrong credentials", "1001")
        assert 0 < row["remaining_s"] <= 180
        assert stage.daemon.ask("status")["locked_out"] == 1
        assert events(stage, "auth_lockout", source) == 1
        play(register(stage, "is_not_heard", source))  # row 4
        elsewhere = Endpoint(PHONES["desk"], 14_974)
        play(register(stage, "registers_with_a_password", elsewhere))
        stage.daemon.succeed("unblock", source.host)
        assert stage.daemon.verb("unblock", source.host).code == 1
        assert events(stage, "auth_unblocked", source) == 1
        play(register(stage, "registers_with_a_password", source))  # row 5
        assert locked_out(stage) == []

    def test_a_phone_may_have_a_user_name_that_is_not_its_number(self, stage: Stage) -> None:
        source = Endpoint(PHONES["desk"], 14_978)
        for number, status in (("1002", "200"), ("desk", "200"), ("1001", "403")):
            values = {"caller": number, "username": "desk", "status": status}
            play(register(stage, "registers_with_a_password", source, **values))
        registered = stage.daemon.ask("registrations")
        assert [(each["name"], each["contact"]) for each in registered if each["name"] == "1002"] == [
            ("1002", f"sip:1002@{source}"), ("1002", f"sip:desk@{source}")
        ]  # fmt: skip

    def test_unknown_users_count_like_wrong_passwords(self, stage: Stage) -> None:
        source = Endpoint(PHONES["scanner"], 14_975)
        unknown = {"username": "unknown", "status": "401"}
        play(register(stage, "registers_with_a_password", source, calls=6, **unknown))
        assert locked_out(stage) == [source.host]
        stage.daemon.succeed("unblock", source.host)

    def test_a_success_begins_the_count_anew(self, stage: Stage) -> None:
        source = Endpoint(PHONES["office"], 14_976)
        wrong = {"password": "guess", "status": "401"}
        play(register(stage, "registers_with_a_password", source))  # a place of this user, who was guessed at elsewhere
        for _ in range(2):
            play(register(stage, "registers_with_a_password", source, calls=5, **wrong))
            play(register(stage, "registers_with_a_password", source))
        assert locked_out(stage) == []


def test_scanners_cost_nothing_that_lasts(stage: Stage) -> None:
    with Peer(Endpoint(PHONES["scanner"], 14_977)) as scanner:
        for number in range(200):
            scanner.send(_options_of_a_scanner(scanner, stage.address, number), stage.address)
        answered = scanner.messages(1.0)
    assert answered == []
    assert stage.daemon.running
    assert events(stage, "unknown_source", scanner.address) == 1


def _options_of_a_scanner(scanner: Peer, switch: Endpoint, number: int) -> str:
    return compose(
        [
            f"OPTIONS sip:100@{switch} SIP/2.0",
            f"Via: SIP/2.0/UDP {scanner.address};branch=z9hG4bK-scan-{number}",
            "From: <sip:scan@example.net>;tag=1",
            f"To: <sip:100@{switch}>",
            f"Call-ID: scan-{number}",
            f"CSeq: {number + 1} OPTIONS",
            "Max-Forwards: 70",
        ]
    )
