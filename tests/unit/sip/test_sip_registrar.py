"""What a REGISTER makes of a user's bindings (RFC 3261 section 10.3, RFC 3327, RFC 5626)."""

from itertools import permutations

import pytest
from doubles.data.registering import register_request

from vosd.base.clock import Instant
from vosd.sip.headers.contact import Contact, preference, seconds
from vosd.sip.registration.registrar import RegisterOutcome, register
from vosd.sip.settings import RegistrarSettings
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.outgoing import Peer
from vosd.sip.wire.uri import Uri, are_equivalent

NOW = Instant(1_000_000, 1_790_000_000_000)
HERE = Peer(0, "203.0.113.9", 40_001)
SETTINGS = RegistrarSettings(default_s=1_800, min_s=60, max_s=7_200, max_contacts=3)


class Desk:
    """One user's bindings, and the clock."""

    def __init__(self, settings: RegistrarSettings = SETTINGS) -> None:
        self.bindings = ()
        self.now = NOW
        self.settings = settings
        self._cseq = 0

    def ask(self, *contacts: str, source: Peer = HERE, cseq: int | None = None, **parts) -> RegisterOutcome:
        self._cseq = self._cseq + 1 if cseq is None else cseq
        request = register_request(*contacts, cseq=self._cseq, **parts)
        outcome = register(self.bindings, request, source, self.settings, self.now)
        self.bindings = outcome.bindings
        return outcome

    def later(self, seconds: int) -> None:
        self.now = self.now.plus(1_000 * seconds)

    @property
    def contacts(self) -> list[str]:
        return [binding.contact for binding in self.bindings]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def lines(outcome: RegisterOutcome, name: str) -> list[str]:
    return [line.partition(": ")[2] for line in outcome.headers.split("\r\n") if line.startswith(f"{name}: ")]


def test_a_registration_keeps_its_contact_and_source(desk):
    outcome = desk.ask("<sip:1001@192.168.1.20:5060;line=7>;q=0.7", headers=["User-Agent: Phone 1.0"])
    (binding,) = desk.bindings
    assert outcome.status == 200
    assert (binding.contact, binding.peer) == ("sip:1001@192.168.1.20:5060;line=7", HERE)
    assert (binding.q, binding.user_agent, binding.registered_at) == (700, "Phone 1.0", NOW.wall)
    assert lines(outcome, "Contact") == ["<sip:1001@192.168.1.20:5060;line=7>;expires=1800;q=0.700"]
    assert lines(outcome, "Date") == ["Mon, 21 Sep 2026 14:13:20 GMT"]


@pytest.mark.parametrize(
    ("contact", "header", "granted"),
    [
        ("<sip:a@h>;expires=600", 300, 600),
        ("<sip:a@h>", 300, 300),
        ("<sip:a@h>", None, 1_800),
        ("<sip:a@h>;expires=99999", None, 7_200),
        ("<sip:a@h>;expires=99999999999999", None, 7_200),
        ("<sip:a@h>;expires=soon", 300, 3_600),
        ("<sip:a@h>", "soon", 3_600),
        ("<sip:a@h>;expires=60", None, 60),
    ],
)
def test_the_duration_is_from_the_contact_then_the_header_then_the_default(desk, contact, header, granted):
    desk.ask(contact, expires=header)
    assert [binding.lifetime_s for binding in desk.bindings] == [granted]
    assert desk.bindings[0].expires_at == NOW.plus(1_000 * granted)


def test_too_brief_a_registration_gets_423_with_what_would_do(desk):
    outcome = desk.ask("<sip:a@h>", expires=59)
    assert (outcome.status, outcome.headers, outcome.bindings) == (423, "Min-Expires: 60\r\n", ())


def test_an_hour_is_never_too_brief():
    """Section 10.3 step 7: no registrar refuses an hour, however long its minimum."""
    desk = Desk(RegistrarSettings(min_s=4_000))
    assert desk.ask("<sip:a@h>", expires=3_599).status == 423
    assert desk.ask("<sip:a@h>", expires=3_600).status == 200


def test_one_contact_that_cannot_be_had_leaves_all_as_they_were(desk):
    desk.ask("<sip:a@h>")
    before = desk.bindings
    assert desk.ask("<sip:b@h>, <sip:a@h>;expires=0, <sip:c@h>;expires=5").status == 423
    assert desk.bindings == before


def test_a_refresh_renews_and_stays_the_same_binding(desk):
    desk.ask("<sip:a@h>")
    desk.later(900)
    outcome = desk.ask("<sip:a@h>", source=Peer(0, "203.0.113.9", 40_777))
    (binding,) = desk.bindings
    assert lines(outcome, "Contact") == ["<sip:a@h>;expires=1800"]
    assert (binding.registered_at, binding.slot, binding.peer.port) == (NOW.wall, 0, 40_777)


def test_a_fetch_lists_what_is_left_of_everything_and_changes_nothing(desk):
    desk.ask("<sip:a@h>;q=1, <sip:b@h>;expires=600;q=0.25")
    before = desk.bindings
    assert [each.slot for each in before] == [0, 1]
    desk.later(100)
    outcome = desk.ask()
    assert lines(outcome, "Contact") == ["<sip:a@h>;expires=1700", "<sip:b@h>;expires=500;q=0.250"]
    assert desk.bindings == before


def test_what_has_expired_is_neither_listed_nor_kept(desk):
    desk.ask("<sip:a@h>;expires=60, <sip:b@h>")
    desk.later(60)
    assert lines(desk.ask(), "Contact") == ["<sip:b@h>;expires=1740"]
    assert desk.contacts == ["sip:b@h"]


def test_the_last_instant_is_never_listed_as_none(desk):
    desk.ask("<sip:a@h>;expires=60")
    desk.now = desk.now.plus(59_999)
    assert lines(desk.ask(), "Contact") == ["<sip:a@h>;expires=1"]


def test_a_contact_with_expires_0_is_removed_and_the_others_stay(desk):
    desk.ask("<sip:a@h>, <sip:b@h>")
    assert lines(desk.ask("<sip:a@h>;expires=0", expires=600), "Contact") == ["<sip:b@h>;expires=1800"]
    assert desk.ask("<sip:unknown@h>", expires=0).status == 200
    assert desk.contacts == ["sip:b@h"]


def test_a_star_removes_everything(desk):
    desk.ask("<sip:a@h>, <sip:b@h>")
    outcome = desk.ask("*", expires=0)
    assert (outcome.status, outcome.bindings, lines(outcome, "Contact")) == (200, (), [])


@pytest.mark.parametrize(
    ("contacts", "expires"), [(["*"], None), (["*"], 60), (["*", "<sip:a@h>"], 0), (["*", "*"], 0)]
)
def test_a_star_must_be_the_only_contact_and_needs_expires_0(desk, contacts, expires):
    desk.ask("<sip:a@h>")
    with pytest.raises(ParseError) as refused:
        desk.ask(*contacts, expires=expires)
    assert refused.value.status == 400
    assert desk.contacts == ["sip:a@h"]


@pytest.mark.parametrize("again", ["<sip:a@h>", "<sip:a@h>;expires=0", "*"])
@pytest.mark.parametrize("cseq", [5, 4])
def test_an_older_register_is_refused_as_a_whole(desk, again, cseq):
    """Section 10.3 steps 6 and 7: in one Call-ID the CSeq must rise."""
    desk.ask("<sip:b@h>", call_id="other", cseq=9)
    desk.ask("<sip:a@h>", cseq=5)
    before = desk.bindings
    outcome = desk.ask(*([again] if again == "*" else ["<sip:new@h>", again]), expires=0 if again == "*" else None,
                       cseq=cseq)  # fmt: skip
    assert (outcome.status, desk.bindings) == (500, before)


def test_another_call_id_counts_for_itself(desk):
    """A phone that was started anew begins to count anew."""
    desk.ask("<sip:a@h>", cseq=500)
    assert desk.ask("<sip:a@h>", cseq=1, call_id="after-reboot").status == 200
    assert desk.ask("*", expires=0, cseq=1, call_id="another").bindings == ()


def test_the_same_contact_twice_in_one_request_is_one_binding_with_the_last_values(desk):
    desk.ask("<sip:a@h>;expires=600, <sip:a@h>;expires=900")
    assert [binding.lifetime_s for binding in desk.bindings] == [900]


def test_uris_that_mean_the_same_are_one_binding(desk):
    desk.ask("<sip:a@Host.Example:5060;transport=udp>")
    desk.ask("<sip:%61@hOST.example:5060;Transport=UDP;x=1>")
    assert desk.contacts == ["sip:%61@hOST.example:5060;Transport=UDP;x=1"]


def test_a_device_that_names_itself_has_one_binding_wherever_it_is(desk):
    """RFC 5626 section 6: the same instance and reg-id replace."""
    device = '+sip.instance="<urn:uuid:00000000-0000-1000-8000-000a95a0e128>"'
    desk.ask(f"<sip:a@10.0.0.1:1>;{device};reg-id=1")
    desk.ask(f"<sip:a@10.0.0.1:2>;{device};reg-id=2")
    outcome = desk.ask(f"<sip:a@10.0.0.9:3>;{device};reg-id=1", call_id="after-reboot")
    assert lines(outcome, "Contact") == [
        f"<sip:a@10.0.0.9:3>;expires=1800;{device};reg-id=1",
        f"<sip:a@10.0.0.1:2>;expires=1800;{device};reg-id=2",
    ]


def test_flows_with_one_contact_are_kept_apart_by_their_reg_ids_and_devices(desk):
    phone, other = (f'+sip.instance="<urn:uuid:{number}>"' for number in (1, 2))
    desk.ask(f"<sip:a@10.0.0.1:1>;{phone};reg-id=1")
    desk.ask(f"<sip:a@10.0.0.1:1>;{phone};reg-id=2", call_id="second-flow")
    desk.ask(f"<sip:a@10.0.0.1:1>;{other};reg-id=1", call_id="another-house")
    assert [(each.instance[-3], each.reg_id) for each in desk.bindings] == [("1", 1), ("1", 2), ("2", 1)]
    desk.ask(f"<sip:a@10.0.0.1:1>;{phone};reg-id=1;expires=0")
    assert [(each.instance[-3], each.reg_id) for each in desk.bindings] == [("1", 2), ("2", 1)]
    desk.ask("<sip:a@10.0.0.1:1>", call_id="without a flow")
    assert [(each.instance[-3:-2], each.reg_id) for each in desk.bindings] == [("", 0), ("2", 1)]


def test_contacts_that_a_device_registers_at_once_are_told_apart_by_their_uris(desk):
    """As a phone does that may be called over UDP and TLS."""
    phone = '+sip.instance="<urn:uuid:1>"'
    both = f"<sip:a@h>;{phone}", f"<sip:a@h:5061;transport=tls>;{phone}"
    desk.ask(*both)
    desk.ask(*both)
    assert desk.contacts == ["sip:a@h", "sip:a@h:5061;transport=tls"]
    desk.ask(*(f"{each};expires=0" for each in both))
    assert desk.contacts == []


def test_a_reg_id_without_instance_is_ignored(desk):
    desk.ask("<sip:a@h>;reg-id=1")
    desk.ask("<sip:b@h>;reg-id=1")
    assert desk.contacts == ["sip:a@h", "sip:b@h"]


def test_a_contact_beyond_the_limit_replaces_the_one_that_expires_first(desk):
    desk.ask("<sip:a@h>;expires=900")
    desk.ask("<sip:b@h>;expires=600")
    desk.ask("<sip:c@h>;expires=1200")
    desk.ask("<sip:d@h>;expires=60")
    assert desk.contacts == ["sip:a@h", "sip:c@h", "sip:d@h"]
    assert [binding.slot for binding in desk.bindings] == [0, 2, 3], "it does not pass for the one that is gone"


@pytest.mark.parametrize(("expires_after_s", "slots"), [(60, [1]), (600, [0])])
def test_a_binding_that_has_expired_is_not_the_one_that_takes_its_place(desk, expires_after_s, slots):
    desk.ask("<sip:a@h>", expires=expires_after_s)
    desk.later(60)
    desk.ask("<sip:a@h>")
    assert [binding.slot for binding in desk.bindings] == slots


@pytest.mark.parametrize("contacts", list(permutations(["<sip:new@h>", "<sip:old@h>;expires=0", "<sip:b@h>"])))
@pytest.mark.parametrize("others", [1, 2])
def test_a_contact_that_is_changed_in_one_request_takes_the_place_of_its_own_alone(others, contacts):
    desk = Desk(RegistrarSettings(max_contacts=1 + others))
    for name in ("old", *("c" for _ in range(others - 1))):
        desk.ask(f"<sip:{name}@h>", call_id=name)
    assert desk.ask(*contacts).status == 200
    assert sorted(desk.contacts) == ["sip:b@h", *("sip:c@h" for _ in range(others - 1)), "sip:new@h"]


def test_a_phone_that_has_one_place_alone_may_change_its_contact():
    desk = Desk(RegistrarSettings(max_contacts=1))
    desk.ask("<sip:old@h>")
    assert desk.ask("<sip:new@h>", "<sip:old@h>;expires=0").status == 200
    assert desk.contacts == ["sip:new@h"]


def test_a_renewed_contact_is_not_thrown_out_by_a_new_one_of_the_same_request(desk):
    desk.ask("<sip:a@h>;expires=60")
    desk.ask("<sip:b@h>;expires=600", call_id="b")
    desk.ask("<sip:c@h>;expires=900", call_id="c")
    desk.ask("<sip:d@h>", "<sip:a@h>")
    assert desk.contacts == ["sip:a@h", "sip:c@h", "sip:d@h"]
    assert desk.bindings[0].registered_at == NOW.wall


def test_a_limit_that_is_lower_than_before_throws_nothing_out_at_a_refresh(desk):
    for name in "abc":
        desk.ask(f"<sip:{name}@h>", call_id=name)
    desk.settings = RegistrarSettings(max_contacts=1)
    desk.ask("<sip:a@h>", call_id="a", cseq=9)
    assert desk.contacts == ["sip:a@h", "sip:b@h", "sip:c@h"]
    desk.ask("<sip:d@h>", call_id="d")
    assert len(desk.contacts) == 3


def test_two_devices_with_one_private_contact_are_kept_apart_unless_one_has_taken_the_address_of_the_other(desk):
    first, second, third = (f'<sip:a@10.0.0.1:1>;+sip.instance="<urn:uuid:{number}>"' for number in (1, 2, 3))
    elsewhere = HERE._replace(port=HERE.port + 1)
    desk.ask(first)
    desk.ask(second, source=elsewhere, call_id="another house")
    assert [(each.instance[-3], each.peer) for each in desk.bindings] == [("1", HERE), ("2", elsewhere)]
    desk.ask(f"{second};expires=0", source=elsewhere, call_id="another house")
    assert [each.instance[-3] for each in desk.bindings] == ["1"]
    desk.ask(third, call_id="started anew with another name")
    assert [each.instance[-3] for each in desk.bindings] == ["3"]
    desk.ask("<sip:b@10.0.0.1:1>")
    desk.ask('<sip:b@10.0.0.1:1>;+sip.instance="<urn:uuid:4>"', source=elsewhere, call_id="it says its name now")
    assert [each.instance[-3] for each in desk.bindings] == ["3", "4"]


def test_a_request_with_too_many_contacts_is_refused(desk):
    """Their phone must not take it for a wrong account."""
    one_more_to_keep = ["<sip:a@h>, <sip:b@h>, <sip:c@h>, <sip:d@h>"]
    too_many_to_remove = ["<sip:a@h>", *(f"<sip:{number}@h>;expires=0" for number in range(6))]
    for contacts in (one_more_to_keep, too_many_to_remove):
        refused = desk.ask(*contacts)
        assert (refused.status, refused.headers) == (403, 'Warning: 399 vosd "Too Many Contacts"\r\n')
    assert desk.bindings == ()


def test_a_path_is_kept_and_returned_to_a_client_that_supports_it(desk):
    """RFC 3327 section 5.3."""
    path = ["Path: <sip:edge.example.com;lr>", "Path: <sip:inner.example.com;lr>;x=y"]
    outcome = desk.ask("<sip:a@h>", headers=[*path, "Supported: path"])
    assert desk.bindings[0].path == ("<sip:edge.example.com;lr>", "<sip:inner.example.com;lr>;x=y")
    assert lines(outcome, "Path") == ["<sip:edge.example.com;lr>, <sip:inner.example.com;lr>;x=y"]
    assert lines(desk.ask("<sip:a@h>", headers=[*path, "Require: path"]), "Path")
    assert lines(desk.ask("<sip:a@h>", headers=path), "Path") == []
    assert lines(desk.ask("<sip:a@h>", headers=["Supported: path"]), "Path") == []
    assert desk.bindings[0].path == ()


@pytest.mark.parametrize(
    "path",
    [
        "sip:edge",
        "<tel:1>",
        "<nonsense>",
        "<sip:h;lr>;x=\x01",
        ", ".join(["<sip:h;lr>"] * 9),
        f"<sip:{'h' * 1_100};lr>",
    ],
)
def test_a_path_that_cannot_be_walked_or_kept_is_refused(desk, path):
    with pytest.raises(ParseError):
        desk.ask("<sip:a@h>", headers=[f"Path: {path}"])


@pytest.mark.parametrize(
    ("contact", "status"),
    [("<tel:123>", 400), ("<mailto:a@h>", 416), ("<nonsense>", 400), (f"<sip:{'a' * 600}@h>", 400),
     ("<sip:a@h>;+sip.instance=" + 600 * "i", 400), ("<sip:\udc80@h>", 400)],
)  # fmt: skip
def test_a_contact_that_cannot_be_called_is_refused(desk, contact, status):
    with pytest.raises(ParseError) as refused:
        desk.ask(contact)
    assert refused.value.status == status


def test_a_call_id_too_long_to_be_kept_is_refused(desk):
    with pytest.raises(ParseError):
        desk.ask("<sip:a@h>", call_id=256 * "i")


@pytest.mark.parametrize(
    ("q", "thousandths"), [("1", 1_000), ("1.0", 1_000), ("0", 0), ("0.5", 500), ("0.123", 123), ("2", 1_000),
                           ("0.1234", 1_000), ("-1", 1_000), ("", 1_000)]
)  # fmt: skip
def test_a_preference_is_between_0_and_1(q, thousandths):
    assert preference(q) == thousandths


def test_seconds_are_bounded():
    assert [seconds(text) for text in ("0", "007", "4294967296", "9" * 99, "-1", "\N{ARABIC-INDIC DIGIT ONE}")] == [
        0, 7, 2**32 - 1, 2**32 - 1, 3_600, 3_600,
    ]  # fmt: skip


def test_a_contact_without_brackets_has_its_parameters_behind_the_uri():
    assert Contact.parse("sip:a@h;expires=30;q=0.5") == Contact("sip:a@h", 500, 30, "", 0)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp", True),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5", True),
        ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on", True),
        ("sip:a@h?to=b&cc=c", "sip:a@h?cc=c&to=b", True),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=tcp", True),
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP", False),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", False),
        ("sip:bob@biloxi.com", "sips:bob@biloxi.com", False),
        ("sip:bob@biloxi.com:6000;transport=tcp", "sip:bob@biloxi.com:6000;transport=udp", False),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off", False),
        ("sip:a@h;maddr=1.2.3.4", "sip:a@h", False),
        ("sip:a@h;user=phone", "sip:a@h", False),
        ("sip:a@h?subject=x", "sip:a@h", False),
    ],
)
def test_uris_are_compared_as_section_19_1_4_does(one, other, same):
    assert are_equivalent(Uri.parse(one), Uri.parse(other)) is same
    assert are_equivalent(Uri.parse(other), Uri.parse(one)) is same
