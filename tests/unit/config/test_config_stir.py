"""Keys of ``stir``: files, what is an error, and what trunks may say."""

import time
from pathlib import Path
from typing import Any

import pytest
from doubles.sti import Sti

from vosd.stir.terms import Numbering, VerifyAction, VerifyTerms
from vosd.trunks.stir import CallerOrigin, CallerSignatures, TrunkVerification, VendorSignatures, VerstatHeader

NOW_MS = 1_795_000_000_000
SIGN = "sign: {key: key.pem, certificate_url: 'https://certificates.example.com/a.pem'}"
VERIFY = "verify: {roots: root.pem}"


@pytest.fixture
def sti() -> Sti:
    return Sti(NOW_MS)


@pytest.fixture
def files(site: Any, sti: Sti) -> Path:
    network = sti.issue()
    for name, content in (
        ("key.pem", network.key),
        ("certificate.pem", network.chain.decode()),
        ("other.pem", sti.issue().chain.decode()),
        ("root.pem", sti.root_pem),
        ("crl.pem", sti.revocations(network.certificate).decode()),
        ("text.pem", "text"),
    ):
        (site.directory / name).write_text(content, encoding="ascii")
        (site.directory / name).chmod(0o600)
    directory: Path = site.directory
    return directory


@pytest.fixture
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Load as at ``NOW_MS``."""
    monkeypatch.setattr(time, "time_ns", lambda: 1_000_000 * NOW_MS)


def with_keys(text: str, place: str, keys: str) -> str:
    """Return a configuration whose trunk has ``stir`` in front of another key."""
    return text.replace(place, f"stir: {keys}, {place}")


def test_the_whole_section_arrives(site, files, sti):
    found = site.load(
        site.minimal
        + f"""
stir:
  {SIGN}
  verify: {{roots: [root.pem], crl: crl.pem, action: refuse, require: yes, fail_open: no, freshness: 30,
    replay_entries: 9, timeout: 1.5, cache_entries: 200, cache_ttl: 60, allow_private: yes}}
  country: 1
  national_digits: 10
  international_prefix: [011, '00']
"""
    )
    terms, certificates = found.catalogue.parameters.stir, found.settings.lookups.certificates
    assert terms.signer.certificate_url == "https://certificates.example.com/a.pem"
    assert terms.verify == VerifyTerms(VerifyAction.REFUSE, True, False, 30, 9, 1_500)
    assert terms.numbering == Numbering("1", "0", 10, ("011", "00"))
    assert certificates.roots == (sti.root_pem,)
    assert (len(certificates.revocations), certificates.cache_ttl_s, certificates.allow_private) == (1, 60, True)


def test_without_the_section_nothing_is_signed_or_verified(site):
    found = site.load(site.minimal)
    assert (found.catalogue.parameters.stir, found.settings.lookups.certificates) == (None, None)


def test_trunks_say_what_is_done_with_their_calls(site, files):
    text = with_keys(site.minimal, "hosts:", "{verify: mark, attest: customer, numbers: ['1212', 100-199]}")
    text = with_keys(
        text, "address:", "{sign: yes, verstat: [from, p-asserted-identity]}, identity: p-asserted-identity"
    )
    catalogue = site.load(f"{text}\nstir: {{{SIGN}, {VERIFY}}}\n").catalogue
    (mapping,), (routing,) = catalogue.mapping_gateways.values(), catalogue.routing_gateways.values()
    assert mapping.stir == CallerSignatures(TrunkVerification.MARK, CallerOrigin.CUSTOMER, ("1212", "100-199"))
    assert [mapping.stir.own.find(each) is not None for each in ("1212", "150", "200")] == [True, True, False]
    assert routing.dialect.stir == VendorSignatures(True, (VerstatHeader.FROM, VerstatHeader.ASSERTED))


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("sign: {certificate_url: 'https://a.example/b'}", "stir.sign.key: expected the private key"),
        ("sign: {key: key.pem}", "stir.sign.certificate_url: expected the address of the certificate of the key"),
        ("sign: {key: key.pem, certificate_url: 'http://a.example/b'}", "expected an https URL"),
        ("sign: {key: key.pem, certificate_url: 'https://a.example/b>'}", "expected an https URL"),
        ("sign: {key: none.pem, certificate_url: 'https://a.example/b'}", "stir.sign.key: value"),
        ("sign: {key: text.pem, certificate_url: 'https://a.example/b'}", "no private key in PEM"),
        ("sign: {key: certificate.pem, certificate_url: 'https://a.example/b'}", "no private key in PEM"),
        (f"{SIGN[:-1]}, certificate: other.pem}}", "'other.pem': expected a fitting file: the"),
        (f"{SIGN[:-1]}, certificate: text.pem}}", "no certificate in PEM"),
        ("verify: {action: mark}", "stir.verify.roots: expected at least one file"),
        ("verify: {roots: text.pem}", "stir.verify.roots: value 'text.pem': expected a fitting file: no certificates"),
        ("verify: {roots: root.pem, crl: root.pem}", "no list of revoked certificates"),
        (f"{VERIFY}, national_digits: 10", "stir.country: expected the country code"),
    ],
)  # fmt: skip
def test_mistakes_are_named(site, files, section, expected):
    (problem,) = site.errors(f"{site.minimal}\nstir: {{{section}}}\n")
    assert expected in problem


@pytest.mark.parametrize(
    ("place", "keys", "expected"),
    [
        ("hosts:", "{verify: yes}", "stir.verify: expected stir.verify of the installation, with roots"),
        ("hosts:", "{numbers: '1212'}", "expected customer beside numbers"),
        ("hosts:", "{attest: customer, numbers: [100-199, '150']}", "expected each number once"),
        ("address:", "{sign: yes}", "expected stir.sign of the installation, with a key"),
        ("address:", "{verstat: p-asserted-identity}", "expected identity with p-asserted-identity"),
    ],
)
def test_mistakes_of_trunks_are_named(site, files, place, keys, expected):
    (problem,) = site.errors(with_keys(site.minimal, place, keys))
    assert expected in problem


@pytest.mark.usefixtures("_now")
def test_a_key_that_others_can_read_and_a_certificate_that_ends_are_warnings(site, files):
    (files / "key.pem").chmod(0o644)
    old = Sti(NOW_MS - 25 * 86_400_000).issue()
    (files / "key.pem").write_text(old.key, encoding="ascii")
    (files / "certificate.pem").write_bytes(old.chain)
    text = f"{site.minimal}\nstir: {{{SIGN[:-1]}, certificate: certificate.pem}}}}\n"
    found = " ".join(site.warnings(text))
    assert "chmod o-r" in found
    assert "expected a certificate that lasts: this one has 4 days left" in found


def issued(files: Path, days_ago: int) -> None:
    """Write files of an authority whose certificates last for 30 days, and whose list lasts for one."""
    sti = Sti(NOW_MS - days_ago * 86_400_000)
    network = sti.issue()
    (files / "key.pem").write_text(network.key, encoding="ascii")
    (files / "certificate.pem").write_bytes(network.chain)
    (files / "root.pem").write_text(sti.root_pem, encoding="ascii")
    (files / "crl.pem").write_bytes(sti.revocations())


@pytest.mark.usefixtures("_now")
@pytest.mark.parametrize(
    ("days_ago", "signing", "roots", "listed"),
    [
        (0, "", "", ""),
        (25, "this one has 4 days left", "one of root.pem has 4 days left", "the time of crl.pem ended 24 days ago"),
        (200, "this one ended 171 days ago", "one of root.pem ended 171 days ago", "crl.pem ended 199 days ago"),
    ],
)
def test_what_ends_or_has_ended_is_a_warning(site, files, days_ago, signing, roots, listed):
    issued(files, days_ago)
    text = f"{site.minimal}\nstir: {{{SIGN[:-1]}, certificate: certificate.pem}}, {VERIFY[:-1]}, crl: crl.pem}}}}\n"
    warnings = site.warnings(text)
    expected = [each for each in (signing, roots, listed) if each]
    assert len(warnings) == len(expected)
    assert [part for part in expected if part not in " ".join(warnings)] == []
    trusted = site.load(text).catalogue.parameters.stir.trusted
    assert [(each.file, each.is_list) for each in trusted] == [("root.pem", False), ("crl.pem", True)]


def test_another_key_in_the_same_file_is_another_catalogue(site, files, sti):
    text = f"{site.minimal}\nstir: {{{SIGN}}}\n"
    before = site.load(text).catalogue
    assert site.load(text).catalogue.version == before.version
    (files / "key.pem").write_text(sti.issue().key, encoding="ascii")
    assert site.load(text).catalogue.version != before.version
