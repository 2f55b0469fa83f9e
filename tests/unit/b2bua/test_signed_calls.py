"""Calls that are signed for a vendor, and calls whose signatures are verified (STIR, SHAKEN), on virtual time."""

import re
from base64 import urlsafe_b64encode
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, Final

import pytest
from doubles.data.builders import applied_rate, catalogue, mapping_gateway, phone, rate_group
from doubles.killed import KilledScene
from doubles.sockets.login import Login
from doubles.sockets.loopback import Endpoint
from doubles.sti import (
    UNREADABLE_CLAIMS,
    URL,
    VIRTUAL_NOW_MS,
    KnownCertificates,
    Signatory,
    Sti,
    constraints,
    numbers,
    usual,
)
from doubles.successor import replace_node
from doubles.virtual.customer import SUPPORTS_100REL, Intent, OutgoingCall
from doubles.virtual.exchange import SWITCH
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway
from doubles.virtual.vendor import ANSWER, SILENT, Line, Script, answers, answers_reliably, refuses

from vosd.base.cause import EndReason
from vosd.callcontrol.admission import Admission
from vosd.callcontrol.setup import STEPS
from vosd.routing.special_numbers import SpecialNumbers
from vosd.sip.wire.status import STATUS_LINES
from vosd.stir.errors import IdentityError, UnsupportedCredentialError
from vosd.stir.extensions import CONSTRAINT_OIDS
from vosd.stir.passport import (
    Claims,
    JoseHeader,
    Passport,
    SignedAbout,
    SignedCallee,
    SignedParty,
    identity_value,
    read,
    written,
)
from vosd.stir.settings import StirTerms
from vosd.stir.signing import Signer, loaded_key, signature_of
from vosd.stir.terms import Attestation, Numbering, VerifyAction, VerifyTerms
from vosd.stir.verification import SignedCall, confirm, read_signature
from vosd.trunks.dialect import CalleeDialect, CallerDialect, IdentityHeader, Privacy, ReasonForm, Redirects
from vosd.trunks.dids import Did
from vosd.trunks.gateways import CallerLimits, CallerNumbers
from vosd.trunks.number_format import NumberFormat, NumberNotation
from vosd.trunks.number_rules import IncomingNumbers, OutgoingNumbers
from vosd.trunks.stir import CallerOrigin, CallerSignatures, TrunkVerification, VendorSignatures, VerstatHeader

CALLER = "12025550100"
NUMBERING = Numbering()
OURS = "https://us.example.com/own.pem"
ABOUT = SignedAbout("", "", "")


def scene_of(
    *,
    signs: bool = True,
    customer: CallerSignatures | None = None,
    verify: VerifyTerms | None = None,
    asker: KnownCertificates | None = None,
    verstat: tuple[VerstatHeader, ...] = (),
    vendors: int = 1,
    more: dict[str, Any] | None = None,
    rules: dict[str, Any] | None = None,
    numbers_out: OutgoingNumbers | None = None,
    numbering: Numbering = NUMBERING,
    **vendor: Any,
) -> Scene:
    """Make a scene in which vendors may be sent signatures, and the customer's may be verified."""
    dialect = CalleeDialect(stir=VendorSignatures(sign=signs, verstat=verstat), **vendor)
    terms = StirTerms(Signer(usual()[1].key, OURS), verify, numbering)
    trunks = [
        mapping_gateway("acme", f"{CUSTOMER.host}/32", stir=customer, **(rules or {})),
        *(vendor_gateway(index, dialect=dialect, numbers=numbers_out) for index in range(vendors)),
    ]
    return Scene(catalogue(trunks, stir=terms, **(more or {})), **({} if asker is None else {"asker": asker}))


def call(scene: Scene, callee: str = CALLEE, *headers: str, **intent: Any) -> OutgoingCall:
    """Make a call and let it end."""
    return scene.whole_call(Intent(**{"headers": headers, "hang_up_after_ms": 1_000, **intent}), callee=callee)


def now_s(scene: Scene) -> int:
    return scene.exchange.clock.now().wall // 1_000


def sent(scene: Scene) -> list[Passport]:
    """Return the tokens of the first INVITE that the vendor got."""
    values = scene.vendor.calls[-1].invite.every("Identity")
    return [found for value in values if (found := read(value, ABOUT)) is not None]


# -- signing ---------------------------------------------------------------------------------------------------------


def test_a_call_is_signed_with_its_numbers_and_time_and_the_vendor_can_verify_it():
    scene = scene_of(customer=CallerSignatures(attest=CallerOrigin.CUSTOMER, numbers=("12025550100-12025550199",)))
    made = call(scene)
    value = scene.vendor.only_call.invite["Identity"]
    assert value.endswith(f";info=<{OURS}>;alg=ES256;ppt=shaken")
    (token,) = sent(scene)
    claims = token.claims
    assert (claims.orig.tn, claims.dest.tn, claims.attestation) == (CALLER, (CALLEE,), "A")
    assert abs(claims.iat - now_s(scene)) <= 60
    signature = read_signature(SignedCall((value,), CALLER, CALLEE), 1_000 * claims.iat, VerifyTerms(), NUMBERING)
    sti, network = usual()
    confirm(signature, {OURS: sti.trust().certified(network.chain, VIRTUAL_NOW_MS)}, VIRTUAL_NOW_MS)
    assert made.final == 200
    assert scene.close().attestation == "A"


@pytest.mark.parametrize(
    ("customer", "caller", "attestation"),
    [
        (None, CALLER, "C"),
        (CallerSignatures(), CALLER, "C"),
        (CallerSignatures(attest=CallerOrigin.CUSTOMER), CALLER, "B"),
        (CallerSignatures(attest=CallerOrigin.CUSTOMER, numbers=(CALLER,)), CALLER, "A"),
        (CallerSignatures(attest=CallerOrigin.CUSTOMER, numbers=(CALLER,)), "12025550101", "B"),
        (CallerSignatures(attest=CallerOrigin.CUSTOMER), "12125550000", "A"),
        (CallerSignatures(attest=CallerOrigin.CUSTOMER), "12125559999", "B"),
    ],
)
def test_a_number_of_the_customer_is_attested_fully_and_a_gateway_as_one(customer, caller, attestation):
    dids = [Did("12125550000", "acme", trunk="vendor-0"), Did("12125559999", "carriers", trunk="vendor-0")]
    scene = scene_of(customer=customer, more={"dids": dids})
    call(scene, caller=caller)
    assert [each.claims.attestation for each in sent(scene)] == [attestation]
    assert scene.close().attestation == attestation


@pytest.mark.parametrize(
    ("shown", "rewrite", "signed", "attestation"),
    [
        ("12125550007", (), "12125550007", "A"),
        ("12125550008", (), "12125550008", "A"),
        ("1999", (), "12125550007", "A"),
        ("12125550007", (("1212555", "1646555"),), "16465550007", "B"),
    ],
)
def test_a_call_of_a_phone_under_a_number_of_its_own_is_attested_fully(shown, rewrite, signed, attestation):
    """And partially under one that a vendor's rules have put in its place."""
    mine = CallerNumbers("12125550007", frozenset({"12125550008"}))
    desk = phone("12125550007", f"{CUSTOMER.host}/32", caller_numbers=mine)
    vendor = vendor_gateway(
        0, dialect=CalleeDialect(stir=VendorSignatures(sign=True)), numbers=OutgoingNumbers(caller_rewrite=rewrite)
    )
    terms = StirTerms(Signer(usual()[1].key, OURS))
    scene = Scene(catalogue([vendor], phones=[desk], stir=terms))
    call(scene, login=Login("12125550007", "secret"), caller=shown)
    assert [(each.claims.orig.tn, each.claims.attestation) for each in sent(scene)] == [(signed, attestation)]


def test_calls_of_one_trunk_have_one_origin_identifier_without_its_name_and_no_two_signatures():
    scene = scene_of()
    call(scene)
    call(scene)
    one, two = (read(each.invite["Identity"], ABOUT) for each in scene.vendor.calls)
    assert one is not None
    assert two is not None
    assert one.claims.origid == two.claims.origid
    assert "acme" not in one.claims.origid
    assert one.signature != two.signature


@pytest.mark.parametrize(
    ("vendor", "caller", "is_signed"),
    [
        ({"privacy": Privacy.HONOUR}, CALLER, False),
        ({"privacy": Privacy.HONOUR, "identity": (IdentityHeader.ASSERTED,)}, CALLER, True),
        ({"privacy": Privacy.STRIP}, CALLER, True),
        ({"privacy": Privacy.PASS}, CALLER, True),
        ({"privacy": Privacy.PASS}, "anonymous", False),
        ({"privacy": Privacy.PASS, "identity": (IdentityHeader.ASSERTED,)}, "anonymous", True),
    ],
)
def test_a_withheld_number_is_signed_only_for_vendors_that_are_sent_it(vendor, caller, is_signed):
    scene = scene_of(**vendor)
    call(scene, CALLEE, "Privacy: id", f"P-Asserted-Identity: <sip:{CALLER}@acme.example>", caller=caller)
    assert bool(scene.vendor.only_call.invite.every("Identity")) is is_signed
    assert (CALLER in scene.bytes_to(scene.vendor.address).decode()) is is_signed


@pytest.mark.parametrize("caller", ["alice", "anonymous", "101"])
def test_a_caller_without_a_number_is_not_signed(caller):
    scene = scene_of()
    call(scene, caller=caller)
    assert scene.vendor.only_call.invite.every("Identity") == []
    assert scene.close().attestation is None


@pytest.mark.parametrize(("left_ms", "is_signed"), [(3_600_000, True), (-1, False)])
def test_a_certificate_that_has_ended_signs_no_more(left_ms, is_signed):
    dialect = CalleeDialect(stir=VendorSignatures(sign=True))
    terms = StirTerms(Signer(usual()[1].key, OURS, VIRTUAL_NOW_MS + left_ms))
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0, dialect=dialect)]
    scene = Scene(catalogue(trunks, stir=terms))
    call(scene)
    assert bool(sent(scene)) is is_signed
    assert scene.close().attestation == ("C" if is_signed else None)


def test_a_vendor_that_is_not_to_be_sent_signatures_gets_none():
    scene = scene_of(signs=False)
    call(scene)
    assert scene.vendor.only_call.invite.every("Identity") == []


def signed_by(network: Signatory, scene: Scene, callee: str = CALLEE, caller: str = CALLER, age_s: int = 0) -> str:
    """Return the Identity line of another network's call."""
    value = network.signer.shaken(caller, callee, Attestation.FULL, "there", now_s(scene) - age_s)
    return f"Identity: {value}"


def test_a_callers_own_signature_passes_in_place_of_ours():
    scene = scene_of()
    line = signed_by(usual()[1], scene)
    call(scene, CALLEE, line)
    assert [f"Identity: {each}" for each in scene.vendor.only_call.invite.every("Identity")] == [line]
    assert scene.close().attestation is None


@pytest.mark.parametrize(("age_s", "attestation"), [(55, None), (65, "C"), (-3_600, "C")])
def test_a_token_whose_time_is_over_when_it_leaves_is_left_out_for_ours(age_s, attestation):
    """The vendor would refuse it (403), also where it was right before gateways that kept silent were tried."""
    scene = scene_of()
    call(scene, CALLEE, signed_by(usual()[1], scene, age_s=age_s))
    (token,) = sent(scene)
    assert (token.x5u == OURS) is (attestation is not None)
    assert abs(token.claims.iat - now_s(scene)) <= 60
    assert scene.close().attestation == attestation


@pytest.mark.parametrize(("age_s", "are_ours"), [(55, [False, False]), (65, [True])])
def test_a_diversion_is_left_out_with_the_token_that_it_completes(age_s, are_ours):
    """It may have a later time than the call: a vendor refuses both (403) by that of the call."""
    scene = scene_of()
    first = signed_by(usual()[1], scene, callee=FORWARDED, age_s=age_s)
    second = usual()[1].signer.diverted(CALLER, FORWARDED, CALLEE, now_s(scene))
    call(scene, CALLEE, first, f"Identity: {second}")
    assert [each.x5u == OURS for each in sent(scene)] == are_ours


def test_a_vendor_whose_calls_are_not_signed_gets_a_token_whose_time_is_over():
    scene = scene_of(signs=False)
    line = signed_by(usual()[1], scene, age_s=65)
    call(scene, CALLEE, line)
    assert [f"Identity: {each}" for each in scene.vendor.only_call.invite.every("Identity")] == [line]


FORWARDED: Final = "442079469999"
FORWARDS: Final = {"numbers": IncomingNumbers(callee_rewrite=((FORWARDED, CALLEE),))}


@pytest.mark.parametrize("before", ["", "99", "+99", "9-9"])
def test_a_signed_call_that_goes_to_another_number_gets_a_token_that_says_who_was_called_before(before):
    scene = scene_of(rules={**FORWARDS, "tech_prefix": "99" if before else ""})
    call(scene, before + FORWARDED, signed_by(usual()[1], scene, callee=FORWARDED, age_s=5))
    tokens = sent(scene)
    assert [each.ppt for each in tokens] == ["shaken", "div"]
    base, div = (each.claims for each in tokens)
    assert (div.orig, div.dest.tn, div.iat) == (base.orig, (CALLEE,), base.iat)
    assert div.div == SignedParty(FORWARDED)
    values = tuple(scene.vendor.only_call.invite.every("Identity"))
    signature = read_signature(SignedCall(values, CALLER, CALLEE), 1_000 * base.iat, VerifyTerms(), NUMBERING)
    assert signature.addresses == (URL, OURS)


@pytest.mark.parametrize("has_token", [True, False])
@pytest.mark.parametrize(
    ("rewrite", "numbering"),
    [("1234#44", NUMBERING), ("778899442", NUMBERING), ("0044", Numbering("1", "1", 10, ("011",)))],
    ids=["no digit", "sixteen digits", "no number of the country"],
)
def test_our_key_signs_nothing_about_a_called_number_that_is_none(rewrite, numbering, has_token):
    scene = scene_of(numbers_out=OutgoingNumbers(callee_rewrite=(("44", rewrite),)), numbering=numbering)
    lines = [signed_by(usual()[1], scene)] if has_token else []
    assert call(scene, CALLEE, *lines).final == 200
    assert [f"Identity: {each}" for each in scene.vendor.only_call.invite.every("Identity")] == lines
    assert scene.close().attestation is None


def test_a_call_that_is_forwarded_twice_has_both_diversions():
    scene = scene_of(rules=FORWARDS)
    first = signed_by(usual()[1], scene, callee="442079468888")
    second = usual()[1].signer.diverted(CALLER, "442079468888", FORWARDED, now_s(scene))
    call(scene, FORWARDED, first, f"Identity: {second}")
    values = tuple(scene.vendor.only_call.invite.every("Identity"))
    signature = read_signature(SignedCall(values, CALLER, CALLEE), 1_000 * now_s(scene), VerifyTerms(), NUMBERING)
    assert [each.claims.dest.tn for each in signature.chains[0]] == [("442079468888",), (FORWARDED,), (CALLEE,)]


def unsigned_scene(rules: IncomingNumbers | None = None, tech_prefix: str = "", **vendor: Any) -> Scene:
    """Make a scene in which nothing is said about signatures."""
    numbers_out = OutgoingNumbers(tech_prefix=tech_prefix)
    gateway = vendor_gateway(0, dialect=CalleeDialect(**vendor), numbers=numbers_out)
    return Scene(
        catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32", numbers=rules or IncomingNumbers()), gateway])
    )


ASSERTED: Final = f"P-Asserted-Identity: <sip:{CALLER}@acme.example>"
NATIONAL: Final = CALLEE.removeprefix("44")
TRUSTED: Final = {"identity": (IdentityHeader.ASSERTED,)}


@pytest.mark.parametrize(
    ("setting", "callee", "caller", "headers", "passes"),
    [
        ({}, CALLEE, "12025550177", (ASSERTED,), True),
        ({}, CALLEE, CALLER, (ASSERTED.replace(CALLER, "12025550177"),), False),
        ({"tech_prefix": "99"}, CALLEE, CALLER, (), True),
        ({"rules": IncomingNumbers(callee_rewrite=((NATIONAL, CALLEE),))}, NATIONAL, CALLER, (), True),
        ({"rules": IncomingNumbers(callee_rewrite=((CALLEE, "442079461111"),))}, CALLEE, CALLER, (), False),
        (TRUSTED, CALLEE, "anonymous", (ASSERTED, "Privacy: id"), True),
        (TRUSTED, CALLEE, CALLER, (ASSERTED, "Privacy: id"), True),
        ({}, CALLEE, CALLER, (ASSERTED, "Privacy: id"), False),
        (TRUSTED | {"is_trusted": False}, CALLEE, CALLER, (ASSERTED, "Privacy: id"), False),
    ],
    ids=[
        "asserted", "from, another is asserted", "tech prefix", "number of the country", "forwarded", "anonymous",
        "withheld, trusted vendor", "withheld", "withheld, vendor that is not trusted",
    ],
)  # fmt: skip
def test_a_signature_passes_to_any_vendor_that_is_sent_the_numbers_which_it_covers(
    setting, callee, caller, headers, passes
):
    scene = unsigned_scene(**setting)
    line = signed_by(usual()[1], scene)
    call(scene, callee, line, *headers, caller=caller)
    found = [f"Identity: {each}" for each in scene.vendor.only_call.invite.every("Identity")]
    assert found == ([line] if passes else [])
    assert scene.close().attestation is None


@pytest.mark.parametrize("signs", [False, True])
@pytest.mark.parametrize(("orig", "dest"), [(f"+{CALLER}", CALLEE), (CALLER, f"+{CALLEE}")])
def test_a_plus_sign_in_a_token_makes_no_other_number(signs, orig, dest):
    scene = scene_of(signs=signs)
    line = signed_by(usual()[1], scene, caller=orig, callee=dest)
    call(scene, CALLEE, line)
    assert [f"Identity: {each}" for each in scene.vendor.only_call.invite.every("Identity")] == [line]


def test_a_signature_for_another_call_passes_where_nothing_has_changed():
    """It may be about the number with its country code, which this switch was not told."""
    scene = unsigned_scene()
    line = signed_by(usual()[1], scene)
    call(scene, CALLEE, line, caller=CALLER[1:])
    assert [f"Identity: {each}" for each in scene.vendor.only_call.invite.every("Identity")] == [line]


def test_a_signature_of_another_caller_is_left_out_for_ours():
    scene = scene_of()
    call(scene, CALLEE, signed_by(usual()[1], scene, caller="12025559999"))
    assert [(each.x5u, each.claims.orig.tn) for each in sent(scene)] == [(OURS, CALLER)]
    assert scene.close().attestation == "C"


def test_a_redirection_of_the_vendor_is_a_diversion():
    scene = scene_of(redirects=Redirects.FOLLOW)
    there = scene.vendors[1]
    contact = f"Contact: <sip:442079461111@{there.address.host}:{there.address.port}>"
    scene.vendor.script = refuses(302, headers=(contact,))
    line = signed_by(usual()[1], scene)
    call(scene, CALLEE, line)
    first, second = scene.vendor.only_call.invite, there.only_call.invite
    assert [f"Identity: {each}" for each in first.every("Identity")] == [line]
    tokens = [read(each, ABOUT) for each in second.every("Identity")]
    assert [each and (each.ppt, each.claims.dest.tn) for each in tokens] == [
        ("shaken", (CALLEE,)), ("div", ("442079461111",)),
    ]  # fmt: skip
    assert scene.close().attestation is None


def test_a_diversion_that_did_not_happen_here_is_not_signed():
    """A customer could write any number into its token, and let us say that it was called before."""
    scene = scene_of(rules=FORWARDS)
    call(scene, FORWARDED, signed_by(usual()[1], scene, callee="442079467777"))
    assert [(each.ppt, each.x5u, each.claims.dest.tn) for each in sent(scene)] == [("shaken", OURS, (CALLEE,))]


@pytest.mark.parametrize(("age_s", "types"), [(55, ["shaken", "div"]), (65, ["shaken"]), (-3_600, ["shaken"])])
def test_a_diversion_repeats_no_time_that_the_caller_has_chosen_freely(age_s, types):
    scene = scene_of(rules=FORWARDS)
    call(scene, FORWARDED, signed_by(usual()[1], scene, callee=FORWARDED, age_s=age_s))
    tokens = sent(scene)
    assert [each.ppt for each in tokens] == types
    assert (tokens[-1].x5u, tokens[-1].claims.dest.tn) == (OURS, (CALLEE,))
    assert abs(tokens[-1].claims.iat - now_s(scene)) <= 60


def test_a_token_that_a_phone_has_written_is_left_out_for_ours():
    mine = CallerNumbers(CALLER, frozenset())
    desk = phone(CALLER, f"{CUSTOMER.host}/32", caller_numbers=mine)
    dialect = CalleeDialect(stir=VendorSignatures(sign=True))
    terms = StirTerms(Signer(usual()[1].key, OURS))
    scene = Scene(catalogue([vendor_gateway(0, dialect=dialect)], phones=[desk], stir=terms))
    call(scene, CALLEE, signed_by(usual()[1], scene), login=Login(CALLER, "secret"))
    assert [(each.x5u, each.claims.attestation) for each in sent(scene)] == [(OURS, "A")]


def test_the_tech_prefix_of_a_vendor_is_not_signed():
    scene = scene_of(numbers_out=OutgoingNumbers(tech_prefix="99"))
    call(scene)
    assert scene.vendor.only_call.invite.start_line.startswith(f"INVITE sip:99{CALLEE}@")
    assert [each.claims.dest.tn for each in sent(scene)] == [(CALLEE,)]
    line = signed_by(usual()[1], scene)
    call(scene, CALLEE, line)
    assert [f"Identity: {each}" for each in scene.vendor.calls[-1].invite.every("Identity")] == [line]


@pytest.mark.parametrize("code", [428, 436, 437, 438])
def test_a_vendor_that_does_not_accept_the_signature_is_left_for_the_next_one(code):
    scene = scene_of(vendors=2)
    scene.vendor.script = refuses(code)
    assert call(scene).final == 200
    assert [(each.gateway, each.code) for each in scene.close().attempts] == [("vendor-0", code), ("vendor-1", 200)]
    scene = scene_of(vendors=1)
    scene.vendor.script = refuses(code)
    assert call(scene).final == code


# -- verifying -------------------------------------------------------------------------------------------------------

VERIFIED: Final = CallerSignatures(verify=TrunkVerification.YES)
REFUSES: Final = VerifyTerms(action=VerifyAction.REFUSE, require=True, fail_open=False)


def known(network: Signatory | None = None, sti: Sti | None = None) -> KnownCertificates:
    """Return an asker that knows the certificate of a network."""
    certificate = (sti or usual()[0]).trust().certified((network or usual()[1]).chain, VIRTUAL_NOW_MS)
    return KnownCertificates({URL: certificate})


def verifying(terms: VerifyTerms = REFUSES, asker: KnownCertificates | None = None, **more: Any) -> Scene:
    return scene_of(signs=False, customer=VERIFIED, verify=terms, asker=asker or known(), **more)


def test_a_call_whose_signature_is_right_goes_on_and_its_record_says_so():
    scene = verifying()
    made = call(scene, CALLEE, signed_by(usual()[1], scene))
    record = scene.close()
    assert made.final == 200
    assert (record.verstat, record.attestation, record.sip_code) == ("TN-Validation-Passed", "A", 200)


def wrong_calls() -> dict[str, Any]:
    """Return by name how a call is made whose signature is wrong, and the code for it."""
    sti, network = usual()
    short = sti.issue(numbers(("12025550200", 100)))
    partial, full = (
        sti.issue(extensions={CONSTRAINT_OIDS[0]: constraints(permitted={"attest": each})})
        for each in (("B", "C"), ("A",))
    )
    unknown = Sti(VIRTUAL_NOW_MS).issue()
    revoked = sti.trust(network.certificate)

    def cannot_be_had() -> KnownCertificates:
        return KnownCertificates({})

    def not_trusted(trust: Any, content: bytes) -> KnownCertificates:
        try:
            return KnownCertificates({URL: trust.certified(content, VIRTUAL_NOW_MS)})
        except IdentityError as error:
            return KnownCertificates({URL: error})

    return {
        "none": (lambda _scene: "X-Nothing: 0", known(), 428),
        "stale": (lambda scene: signed_by(network, scene, age_s=61), known(), 403),
        "future": (lambda scene: signed_by(network, scene, age_s=-61), known(), 403),
        "unreachable": (lambda scene: signed_by(network, scene), cannot_be_had(), 436),
        "of an unknown authority": (
            lambda scene: signed_by(unknown, scene),
            not_trusted(sti.trust(), unknown.chain),
            437,
        ),
        "revoked": (lambda scene: signed_by(network, scene), not_trusted(revoked, network.chain), 437),
        "with a claim of another value": (lambda scene: signed_by(partial, scene), known(partial), 438),
        **{
            f"with an unreadable claim {number}": (
                lambda scene, claim=claim: "Identity: " + full.with_claim(signed_by(full, scene).split()[1], claim),
                known(full),
                438,
            )
            for number, claim in enumerate(UNREADABLE_CLAIMS)
        },
        "for other numbers": (lambda scene: signed_by(short, scene), known(short), 437),
        "to another number": (lambda scene: signed_by(network, scene, callee="442079460001"), known(), 438),
        "of another caller": (lambda scene: signed_by(network, scene, caller="12025550101"), known(), 438),
        "by another key": (lambda scene: signed_by(short, scene), known(), 438),
        "broken": (lambda scene: signed_by(network, scene).replace(".eyJ", ".xxx"), known(), 438),
        "no token": (lambda _scene: "Identity: abc;info=<https://a.example/b>", known(), 438),
    }


@pytest.mark.parametrize("name", wrong_calls())
def test_a_wrong_signature_is_refused_with_its_code(name):
    line, asker, code = wrong_calls()[name]
    scene = verifying(asker=asker)
    made = call(scene, CALLEE, line(scene))
    record = scene.close()
    assert (made.final, record.sip_code, record.end_reason) == (code, code, EndReason.IDENTITY_INVALID.text)
    assert record.verstat == ("No-TN-Validation" if code in {428, 436} else "TN-Validation-Failed")
    assert record.attestation is None
    assert f'"refusal":"{code}: ' in (record.verdicts or "")
    assert scene.vendor.calls == []


@pytest.mark.parametrize("name", wrong_calls())
def test_a_trunk_that_only_notes_results_carries_every_call(name):
    line, asker, code = wrong_calls()[name]
    scene = verifying(VerifyTerms(), asker, more={"verdicts_one_in": 1})
    assert call(scene, CALLEE, line(scene)).final == 200
    record = scene.close()
    assert record.verstat == ("No-TN-Validation" if code in {428, 436} else "TN-Validation-Failed")
    assert f'"signature":"{code}: ' in (record.verdicts or "")


@pytest.mark.parametrize("action", [VerifyAction.PASS, VerifyAction.MARK])
@pytest.mark.parametrize("name", wrong_calls())
def test_a_signature_that_was_found_wrong_is_left_out_for_ours(name, action):
    line, asker, code = wrong_calls()[name]
    scene = scene_of(customer=VERIFIED, verify=VerifyTerms(action=action), asker=asker)
    call(scene, CALLEE, line(scene))
    is_unknown = code == 436  # the vendor may have the certificate
    assert [each.x5u for each in sent(scene)] == [URL if is_unknown else OURS]
    assert scene.close().attestation == (None if is_unknown else "C")


def test_a_signature_that_was_found_wrong_is_no_beginning_of_a_diversion():
    scene = scene_of(customer=VERIFIED, verify=VerifyTerms(), asker=known(), rules=FORWARDS)
    line = signed_by(usual()[1], scene, callee=FORWARDED)
    for _ in range(2):
        call(scene, FORWARDED, line)
    first, second = ([read(each, ABOUT) for each in made.invite.every("Identity")] for made in scene.vendor.calls)
    assert [each and each.ppt for each in first] == ["shaken", "div"]
    assert [each and (each.ppt, each.x5u) for each in second] == [("shaken", OURS)], "used before"


def signature_reasons(made: OutgoingCall) -> list[tuple[int, str]]:
    """Return the responses of a call with what they say about its signature."""
    return [
        (response.status, line.removeprefix("STIR;"))
        for response in made.responses
        for line in response.every("Reason")
        if line.startswith("STIR;")
    ]


PHRASES: Final = {
    403: "Stale Date",
    436: "Bad Identity Info",
    437: "Unsupported Credential",
    438: "Invalid Identity Header",
}


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("name", wrong_calls())
def test_a_signer_is_informed_once_that_its_signature_is_wrong(name, waits):
    line, asker, code = wrong_calls()[name]
    expected = f'cause={code};text="{PHRASES[code]}"' if name != "none" else ""
    at_once = Script((Line(0, 200, ANSWER),))
    for ends, first in ((answers(0), 180), (answers_reliably(), 183), (at_once, 200), (refuses(486), 486)):
        asker.answers_at_once = not waits
        scene = verifying(VerifyTerms(action=VerifyAction.MARK), asker=asker)
        scene.vendor.script = ends
        made = scene.begun_call(Intent(headers=(line(scene), *SUPPORTS_100REL), hang_up_after_ms=1_000), after_ms=50)
        if waits and scene.vendor.calls == []:
            ticket, question = asker.asked[-1]
            scene.exchange.take_answer(ticket, asker.answer(question))
        scene.wire.run_until(lambda made=made: made.is_over)
        assert signature_reasons(made) == ([(first, expected)] if expected else [])


@pytest.mark.parametrize("name", ["stale", "revoked"])
def test_a_refusal_says_what_is_wrong_with_the_signature(name):
    line, asker, code = wrong_calls()[name]
    scene = verifying(asker=asker)
    assert signature_reasons(call(scene, CALLEE, line(scene))) == [(code, f'cause={code};text="{PHRASES[code]}"')]
    assert f"SIP/2.0 {code} {PHRASES[code]}\r\n".encode() in scene.bytes_to(CUSTOMER)


def test_another_fault_that_a_trunk_is_sent_as_403_is_no_stale_date():
    line, asker, _ = wrong_calls()["revoked"]
    scene = verifying(asker=asker, rules={"dialect": CallerDialect(reject_codes={"437": 403})})
    assert call(scene, CALLEE, line(scene)).final == 403
    assert b"SIP/2.0 403 Forbidden\r\n" in scene.bytes_to(CUSTOMER)


def test_a_trunk_without_reasons_is_not_informed():
    line, asker, code = wrong_calls()["stale"]
    for terms, final in ((VerifyTerms(), 200), (REFUSES, code)):
        scene = verifying(terms, asker=asker, rules={"dialect": CallerDialect(reasons=ReasonForm.NONE)})
        made = call(scene, CALLEE, line(scene))
        assert (made.final, signature_reasons(made)) == (final, [])


@pytest.mark.parametrize("name", ["none", "unreachable"])
def test_a_trunk_that_refuses_wrong_calls_may_carry_those_that_could_not_be_verified(name):
    line, asker, _ = wrong_calls()[name]
    scene = verifying(VerifyTerms(action=VerifyAction.REFUSE), asker)
    assert call(scene, CALLEE, line(scene)).final == 200
    assert scene.close().verstat == "No-TN-Validation"


def test_a_trunk_may_have_an_action_of_its_own():
    scene = scene_of(
        signs=False, verify=REFUSES, asker=known(), customer=CallerSignatures(verify=TrunkVerification.PASS)
    )
    assert call(scene, CALLEE).final == 200
    scene = scene_of(signs=False, verify=REFUSES, asker=known(), customer=CallerSignatures())
    assert call(scene, CALLEE).final == 200
    assert scene.close().verstat is None


def test_a_token_serves_one_call_that_was_answered():
    scene = verifying()
    line = signed_by(usual()[1], scene)
    assert [call(scene, CALLEE, line).final for _ in range(2)] == [200, 438]
    assert "another call has used this signature" in (scene.exchange.sink.records[-1].verdicts or "")
    assert call(scene, CALLEE, signed_by(usual()[1], scene)).final == 200


def status_of_copy(scene: Scene, made: OutgoingCall, sequence: int, *, has_its_tag: bool = True) -> int | None:
    """Send the INVITE of a call from another port, as anyone who has seen it can; return the final status."""
    statuses: list[int] = []
    other = Endpoint(CUSTOMER.host, 5_099)
    scene.wire.attach(other, lambda packet: statuses.append(int(packet.data[8:11])))
    text = next(each.data for each in scene.wire.packets if each.source == CUSTOMER and each.data[:6] == b"INVITE")
    text = re.sub(rb"branch=[^;\r]+", f"branch=z9hG4bK-copy-{sequence}-{has_its_tag}".encode(), text)
    text = text.replace(b"CSeq: 1 ", b"CSeq: %d " % sequence).replace(str(CUSTOMER).encode(), str(other).encode())
    if not has_its_tag:
        text = text.replace(f"tag={made.tag}".encode(), b"tag=other")
    scene.wire.send(other, SWITCH, text)
    scene.wire.run_for(3_000)
    return next((each for each in statuses if each >= 200), None)


def test_a_listener_who_has_seen_an_invite_cannot_use_its_token_by_its_call_id():
    scene = verifying(VerifyTerms(action=VerifyAction.REFUSE, require=True, freshness_s=60))
    made = scene.answered_call(Intent(headers=(signed_by(usual()[1], scene),)))
    assert status_of_copy(scene, made, 1) == 482, "a copy that came by another path (RFC 3261 section 8.2.2.2)"
    assert status_of_copy(scene, made, 2) == 438
    assert status_of_copy(scene, made, 1, has_its_tag=False) == 438
    scene.wire.run_for(35_000)  # the transaction of the first is forgotten, its token is fresh
    assert status_of_copy(scene, made, 1) == 438
    assert len(scene.exchange.switch.calls()) == 1
    made.invite_again()
    scene.wire.run_for(1_000)
    assert len(scene.exchange.switch.calls()) == 1


@pytest.mark.parametrize("ends", ["refused", "given up"])
def test_after_a_call_that_was_not_answered_the_network_before_us_may_send_the_same_request_again(ends):
    scene = verifying()
    scene.vendor.script = refuses(486) if ends == "refused" else SILENT
    intent = Intent(headers=(signed_by(usual()[1], scene),), cancel_after_ms=None if ends == "refused" else 500)
    made = scene.whole_call(intent)
    scene.vendor.script = answers(0)
    assert status_of_copy(scene, made, 2) == 200


def test_a_call_that_was_refused_for_its_session_timer_comes_again_with_its_token():
    scene = verifying()
    line = signed_by(usual()[1], scene)
    assert call(scene, CALLEE, line, "Supported: timer", "Session-Expires: 30").final == 422
    assert call(scene, CALLEE, line).final == 200


@pytest.mark.parametrize("callee", [CALLEE, "339000"])
def test_a_token_of_a_call_that_was_not_answered_may_come_again_by_another_way(callee):
    """The network before us tries its next route with the same token; 339000 has no rate and is refused at once."""
    scene = verifying()
    scene.vendor.script = refuses(486)
    line = signed_by(usual()[1], scene, callee=callee)
    assert [call(scene, callee, line).final for _ in range(2)] == [486 if callee == CALLEE else 403] * 2


def two_networks() -> tuple[Signatory, Scene]:
    """Return a network besides the usual one, and a scene that knows the certificates of both."""
    sti, _ = usual()
    other, asker = sti.issue(url="https://other.example.com/x.pem"), known()
    asker.found[other.signer.certificate_url] = sti.trust().certified(other.chain, VIRTUAL_NOW_MS)
    return other, verifying(asker=asker)


def test_a_token_that_another_network_has_added_may_be_wrong_where_one_is_right():
    other, scene = two_networks()
    wrong = signed_by(other, scene), signed_by(other, scene, age_s=100), signed_by(other, scene, caller="12025559999")
    scene.exchange.surroundings.asker.found[other.signer.certificate_url] = UnsupportedCredentialError("not trusted")
    for line in wrong:
        assert call(scene, CALLEE, line, signed_by(usual()[1], scene)).final == 200
        assert scene.exchange.sink.records[-1].verstat == "TN-Validation-Passed"
        assert call(scene, CALLEE, line).final in {403, 437, 438}


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(
    ("action", "fail_open", "final"),
    [(VerifyAction.REFUSE, True, 200), (VerifyAction.REFUSE, False, 436), (VerifyAction.MARK, True, 200)],
)
def test_a_wrong_token_beside_one_whose_certificate_cannot_be_had_has_no_call_refused(action, fail_open, final, order):
    other = usual()[0].issue(url="https://other.example.com/x.pem")
    asker = KnownCertificates({other.signer.certificate_url: UnsupportedCredentialError("not trusted")})
    scene = scene_of(customer=VERIFIED, verify=VerifyTerms(action=action, fail_open=fail_open), asker=asker)
    lines = [signed_by(usual()[1], scene), signed_by(other, scene)][::order]
    assert call(scene, CALLEE, *lines).final == final
    if final == 200:
        found = [f"Identity: {each}" for each in scene.vendor.only_call.invite.every("Identity")]
        assert found == lines, "the vendor may have the certificate"
    assert scene.close().verstat == "No-TN-Validation"


def test_of_two_tokens_that_are_right_neither_serves_a_further_call():
    other, scene = two_networks()
    lines = signed_by(other, scene), signed_by(usual()[1], scene)
    assert [call(scene, CALLEE, *each).final for each in (lines, lines[:1], lines[1:])] == [200, 438, 438]


def test_a_token_that_was_not_verified_beside_a_right_one_serves_no_further_call():
    """A listener has it, and its certificate is known by then."""
    other, scene = two_networks()
    found = scene.exchange.surroundings.asker.found
    certificate = found.pop(other.signer.certificate_url)
    lines = signed_by(other, scene), signed_by(usual()[1], scene)
    assert call(scene, CALLEE, *lines).final == 200
    assert scene.exchange.sink.records[-1].verstat == "TN-Validation-Passed"
    found[other.signer.certificate_url] = certificate
    assert call(scene, CALLEE, lines[0]).final == 438


def test_the_other_half_of_a_signature_makes_no_new_token():
    """(r, n - s) is right wherever (r, s) is."""
    scene = verifying()
    value = usual()[1].signer.shaken(CALLER, CALLEE, Attestation.FULL, "there", now_s(scene))
    token = read(value, ABOUT)
    assert token is not None
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    other = token.signature[:32] + (order - int.from_bytes(token.signature[32:])).to_bytes(32)
    mirrored = value.replace(
        urlsafe_b64encode(token.signature).decode().rstrip("="), urlsafe_b64encode(other).decode().rstrip("=")
    )
    assert mirrored != value
    assert [call(scene, CALLEE, f"Identity: {each}").final for each in (value, mirrored)] == [200, 438]


def diverted_call(covered):
    """Return a call to 442079469999 that was diverted: who diverts it has a certificate for ``covered``."""
    sti, network = usual()
    other = sti.issue(numbers((covered, 1)), url="https://other.example.com/div.pem")
    asker = known()
    asker.found[other.signer.certificate_url] = sti.trust().certified(other.chain, VIRTUAL_NOW_MS)
    scene = verifying(asker=asker)
    lines = (
        signed_by(network, scene, callee="442079469999"),
        f"Identity: {other.signer.diverted(CALLER, '442079469999', CALLEE, now_s(scene))}",
    )
    return other, asker, scene, lines


def test_a_diverted_call_is_verified_by_both_tokens():
    other, asker, scene, lines = diverted_call("442079469999")
    assert call(scene, CALLEE, *lines).final == 200
    assert scene.close().verstat == "TN-Validation-Passed"
    assert asker.asked[-1][1].signature.addresses == (URL, other.signer.certificate_url)
    scene = verifying(asker=asker)
    lines = lines[0], f"Identity: {other.signer.diverted(CALLER, '442079469998', CALLEE, now_s(scene))}"
    assert call(scene, CALLEE, *lines).final == 438


def test_who_diverts_a_call_signs_for_the_number_that_was_called():
    _, _, scene, lines = diverted_call("442079460000")
    assert call(scene, CALLEE, *lines).final == 437


@pytest.mark.parametrize(
    ("action", "name", "expected"),
    [
        (VerifyAction.MARK, "right", "TN-Validation-Passed"),
        (VerifyAction.MARK, "stale", "TN-Validation-Failed"),
        (VerifyAction.MARK, "none", "No-TN-Validation"),
        (VerifyAction.PASS, "right", ""),
    ],
)
def test_a_vendor_that_wants_it_is_sent_the_result(action, name, expected):
    line = wrong_calls()[name][0] if name != "right" else lambda scene: signed_by(usual()[1], scene)
    scene = verifying(
        VerifyTerms(action=action), identity=(IdentityHeader.ASSERTED,), verstat=(VerstatHeader.ASSERTED,)
    )
    call(scene, CALLEE, line(scene))
    invite = scene.vendor.only_call.invite
    parameter = f";verstat={expected}" if expected else ""
    assert f"<sip:{CALLER}{parameter}@" in invite["P-Asserted-Identity"]
    assert "verstat" not in invite["From"]


def test_the_result_stands_in_from_in_the_form_of_the_vendor():
    forms = NumberFormat(from_=NumberNotation.PLUS_E164, user_phone=True)
    scene = verifying(VerifyTerms(action=VerifyAction.MARK), verstat=(VerstatHeader.FROM,), number_format=forms)
    call(scene, CALLEE, signed_by(usual()[1], scene))
    sent_from = scene.vendor.only_call.invite["From"]
    assert sent_from.startswith(f"<sip:+{CALLER};verstat=TN-Validation-Passed@")
    assert ";user=phone>" in sent_from


@pytest.mark.parametrize(
    ("rules", "numbers_out", "number", "expected"),
    [
        ({}, OutgoingNumbers(caller_rewrite=(("1", "44"),)), "442025550100", "No-TN-Validation"),
        ({"numbers": IncomingNumbers(caller_rewrite=(("1", "4930"),))}, None, "49302025550100", "No-TN-Validation"),
        ({"numbers": IncomingNumbers(caller_rewrite=(("1", "+1"),))}, None, f"+{CALLER}", "TN-Validation-Passed"),
        ({}, OutgoingNumbers(caller_rewrite=(("1", "001"),)), f"00{CALLER}", "TN-Validation-Passed"),
    ],
)
def test_the_result_is_that_of_the_number_which_goes_out(rules, numbers_out, number, expected):
    """A number that replaces the caller's was not validated; another notation of the caller's was."""
    scene = verifying(
        VerifyTerms(action=VerifyAction.MARK), verstat=(VerstatHeader.FROM,), rules=rules, numbers_out=numbers_out
    )
    call(scene, CALLEE, signed_by(usual()[1], scene))
    assert scene.vendor.only_call.invite["From"].startswith(f"<sip:{number};verstat={expected}@")
    assert scene.close().verstat == "TN-Validation-Passed"


def test_numbers_as_dialled_in_the_country_are_compared_with_their_country_code():
    numbering = Numbering(country="1", national_digits=10)
    terms = StirTerms(None, REFUSES, numbering)
    content = catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32", stir=VERIFIED), vendor_gateway(0)], stir=terms)
    scene = Scene(content, asker=known())
    assert call(scene, CALLEE, signed_by(usual()[1], scene), caller=CALLER[1:]).final == 200


NORTH_AMERICA: Final = Numbering(country="1", national_prefix="1", national_digits=10, international_prefix=("011",))


@pytest.mark.parametrize("has_token", [False, True])
def test_a_number_that_a_vendor_is_sent_as_it_is_dialled_abroad_is_signed_with_its_country_code(has_token):
    dialect = CalleeDialect(stir=VendorSignatures(sign=True))
    dials = OutgoingNumbers(callee_rewrite=(("44", "01144"),))
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0, dialect=dialect, numbers=dials)]
    scene = Scene(catalogue(trunks, stir=StirTerms(Signer(usual()[1].key, OURS), None, NORTH_AMERICA)))
    call(scene, CALLEE, signed_by(usual()[1], scene) if has_token else "X-Nothing: 0")
    assert scene.vendor.only_call.invite.start_line.startswith(f"INVITE sip:011{CALLEE}@")
    tokens = [(each.ppt, each.x5u, each.claims.dest.tn) for each in sent(scene)]
    assert tokens == [("shaken", URL if has_token else OURS, (CALLEE,))]


def test_a_call_that_a_customer_dials_as_one_abroad_is_about_the_number_with_its_country_code():
    terms = StirTerms(None, REFUSES, NORTH_AMERICA)
    trunk = mapping_gateway(
        "acme", f"{CUSTOMER.host}/32", stir=VERIFIED, numbers=IncomingNumbers(callee_rewrite=(("011", ""),))
    )
    scene = Scene(catalogue([trunk, vendor_gateway(0)], stir=terms), asker=known())
    assert call(scene, f"011{CALLEE}", signed_by(usual()[1], scene)).final == 200


def test_a_token_about_addresses_is_none_for_numbers():
    """From could name the address that was signed, P-Asserted-Identity the number of another one."""
    network = usual()[1]
    scene = verifying()
    claims = Claims("A", SignedCallee((CALLEE,)), iat=now_s(scene), orig=SignedParty(uri="sip:alice@example.com"))
    header = JoseHeader("ES256", typ="passport", x5u=URL)
    signed = written(header, claims)
    value = identity_value(signed, signature_of(loaded_key(network.key), signed), header)
    made = scene.whole_call(
        Intent(headers=(f"Identity: {value}", f"P-Asserted-Identity: <sip:{CALLER}@h>"), caller="alice")
    )
    assert made.final == 428
    claims = Claims("A", SignedCallee(uri=(f"sip:{CALLEE}@192.0.2.1",)), iat=now_s(scene), orig=SignedParty(CALLER))
    signed = written(header, claims)
    value = identity_value(signed, signature_of(loaded_key(network.key), signed), header)
    assert call(scene, CALLEE, f"Identity: {value}").final == 438


# -- waiting for the certificate -------------------------------------------------------------------------------------


def waiting(terms: VerifyTerms = REFUSES) -> tuple[Scene, KnownCertificates]:
    asker = known()
    asker.answers_at_once = False
    return verifying(terms, asker), asker


def test_a_call_waits_for_the_certificate_and_is_carried_then():
    scene, asker = waiting()
    made = scene.begun_call(Intent(headers=(signed_by(usual()[1], scene),), hang_up_after_ms=1_000), after_ms=500)
    assert (made.final, scene.vendor.calls) == (None, [])
    ((ticket, question),) = asker.asked
    assert question.signature.addresses == (URL,)
    scene.exchange.take_answer(ticket, asker.answer(question))
    scene.wire.run_until(lambda: made.is_over)
    assert made.final == 200
    assert scene.close().verstat == "TN-Validation-Passed"


@pytest.mark.parametrize(("fail_open", "code"), [(True, 200), (False, 436)])
def test_a_call_waits_no_longer_than_the_deadline(fail_open, code):
    scene, asker = waiting(VerifyTerms(action=VerifyAction.REFUSE, fail_open=fail_open))
    made = call(scene, CALLEE, signed_by(usual()[1], scene))
    assert made.final == code
    assert len(asker.cancelled) == 1
    assert scene.close().verstat == "No-TN-Validation"


@pytest.mark.parametrize("waits", [False, True])
def test_what_else_the_invite_of_a_signed_call_says_of_its_number_counts_behind_the_verification(waits):
    rates = [rate_group("sell", applied_rate("0.60"), applied_rate("6.00", prefix="9944"))]
    asker = known()
    asker.answers_at_once = not waits
    more = {"rate_groups": rates, "special_numbers": SpecialNumbers(forward_prefix="99")}
    scene = verifying(asker=asker, rules={"accept_routing_number": True}, more=more)
    diversion = "Diversion: <sip:442070000000@acme.example>;reason=no-answer"
    intent = Intent(headers=(signed_by(usual()[1], scene), diversion), hang_up_after_ms=500)
    made = scene.begun_call(intent, after_ms=200, callee=f"{CALLEE};npdi;rn=4499")
    if waits:
        replace_node(scene)
        ticket, question = asker.asked[-1]
        scene.exchange.take_answer(ticket, asker.answer(question))
    scene.wire.run_until(lambda: made.is_over)
    record = scene.close()
    assert (record.verstat, record.routing_number) == ("TN-Validation-Passed", "4499")
    assert (record.forward_prefix, record.rate_prefix, record.fee) == ("99", "9944", Decimal("0.10"))


def test_a_caller_that_hangs_up_meanwhile_has_cost_nothing():
    scene, asker = waiting()
    made = call(scene, CALLEE, signed_by(usual()[1], scene), cancel_after_ms=300)
    assert made.final == 487
    assert len(asker.cancelled) == 1
    assert scene.close().verstat is None


def test_the_blacklist_counts_a_call_that_has_waited():
    _, asker = waiting()
    content = catalogue(
        [
            mapping_gateway(
                "acme", f"{CUSTOMER.host}/32", stir=VERIFIED, dynamic_blacklist=CallerLimits(frequency_limit=1)
            ),
            vendor_gateway(0),
        ],
        stir=StirTerms(None, REFUSES),
    )
    scene, finals = Scene(content, asker=asker), []
    for _ in range(2):
        made = scene.begun_call(Intent(headers=(signed_by(usual()[1], scene),), hang_up_after_ms=100), after_ms=100)
        scene.exchange.take_answer(asker.asked[-1][0], asker.answer(asker.asked[-1][1]))
        scene.wire.run_for(5_000)
        finals.append(made.final)
    assert finals == [200, 403]


@pytest.mark.parametrize("is_right", [True, False])
@pytest.mark.parametrize("before", ["same version", "without a later step"])
def test_a_call_that_waits_for_a_certificate_goes_on_over_a_restart(tmp_path, is_right, before):
    asker = known() if is_right else KnownCertificates({})
    asker.answers_at_once = False
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32", stir=VERIFIED), vendor_gateway(0)]
    steps = STEPS if before == "same version" else tuple(each for each in STEPS if each is not Admission.check_number)
    scene = KilledScene(tmp_path, catalogue(trunks, stir=StirTerms(None, REFUSES)), asker=asker, steps=steps)
    line = signed_by(usual()[1], scene)
    made = scene.begun_call(Intent(headers=(line,), hang_up_after_ms=1_000), after_ms=50)
    scene.exchange.surroundings = scene.exchange.surroundings._replace(steps=STEPS)
    scene.stop_and_keep(then_ms=200)
    ticket, question = asker.asked[-1]
    assert (len(asker.asked), question.signature.addresses) == (2, (URL,))
    scene.exchange.take_answer(ticket, asker.answer(question))
    scene.wire.run_until(lambda: made.is_over)
    assert made.final == (200 if is_right else 436)
    scene.wire.run_for(100)
    assert scene.sink.records[-1].verstat == ("TN-Validation-Passed" if is_right else "No-TN-Validation")


# -- what follows from it --------------------------------------------------------------------------------------------


def test_a_signed_call_has_the_date_of_its_token_or_the_callers_own():
    scene = scene_of()
    call(scene)
    invite = scene.vendor.only_call.invite
    (token,) = sent(scene)
    assert parsedate_to_datetime(invite["Date"]).timestamp() == token.claims.iat
    line = signed_by(usual()[1], scene)
    call(scene, CALLEE, line, "Date: Mon, 21 Sep 2026 14:13:20 GMT")
    assert scene.vendor.calls[-1].invite.every("Date") == ["Mon, 21 Sep 2026 14:13:20 GMT"]


def test_a_gateway_may_take_verified_callers_alone():
    dialect = CalleeDialect(stir=VendorSignatures(only_verified=True))
    trunks = [
        mapping_gateway("acme", f"{CUSTOMER.host}/32", stir=VERIFIED),
        vendor_gateway(0, dialect=dialect),
        vendor_gateway(1),
    ]
    scene = Scene(catalogue(trunks, stir=StirTerms(None, VerifyTerms())), asker=known())
    call(scene, CALLEE, signed_by(usual()[1], scene))
    call(scene)
    first, second = scene.exchange.sink.records
    assert ([each.gateway for each in first.attempts], [each.gateway for each in second.attempts]) == (
        ["vendor-0"], ["vendor-1"],
    )  # fmt: skip
    scene = Scene(catalogue(trunks[:2], stir=StirTerms(None, VerifyTerms())), asker=known())
    assert call(scene).final == 503
    assert "signature: the caller's signature was not verified" in (scene.close().verdicts or "")


@pytest.mark.parametrize(("strip_digits", "final"), [(0, 200), (2, 503)], ids=["dialled", "without buy rates"])
def test_an_emergency_call_is_neither_refused_nor_delayed(strip_digits, final):
    asker = known()
    number = CALLEE[strip_digits:]
    numbers_of_help = SpecialNumbers(free=(number,), emergency=frozenset({number}), strip_digits=strip_digits)
    for line in ("X-Nothing: 0", signed_by(usual()[1], scene_of(), callee="4411")):
        scene = verifying(asker=asker, more={"special_numbers": numbers_of_help})
        assert call(scene, CALLEE, line).final == final
        assert scene.close().verstat is None
    assert asker.asked == []


@pytest.mark.parametrize("terms", [StirTerms(None, VerifyTerms()), None], ids=["verifying", "without stir"])
def test_an_emergency_call_goes_to_vendors_that_take_verified_callers_alone_too(terms):
    dialect = CalleeDialect(stir=VendorSignatures(only_verified=True))
    customer = mapping_gateway("acme", f"{CUSTOMER.host}/32", stir=None if terms is None else VERIFIED)
    special = SpecialNumbers(emergency=frozenset({CALLEE}))
    content = catalogue([customer, vendor_gateway(0, dialect=dialect)], stir=terms, special_numbers=special)
    assert call(Scene(content, asker=known())).final == 200


@pytest.mark.parametrize(
    ("status", "phrase"),
    [
        (428, "Use Identity Header"),
        (436, "Bad Identity Info"),
        (437, "Unsupported Credential"),
        (438, "Invalid Identity Header"),
    ],
)
def test_the_codes_have_the_phrases_of_rfc_8224(status, phrase):
    assert STATUS_LINES[status] == f"SIP/2.0 {status} {phrase}\r\n".encode()
