"""Telephones, and trunks that prove who they are."""

import pytest

from vosd.routing.tables import Phone
from vosd.sip.digest.hashing import Algorithm, ha1_of
from vosd.sip.digest.settings import DigestSettings, LockOutSettings

SECRET = "correct horse"


def with_phones(site, *phones: str, more: str = "") -> str:
    return f"{site.minimal}phones:\n" + "".join(f"  - {{{phone}}}\n" for phone in phones) + more


def md5(username: str, password: str, realm: str = "vosd") -> str:
    return ha1_of(Algorithm.MD5, username, realm, password)


def test_a_phone_is_a_mapping_gateway_that_proves_who_it_is(site):
    text = with_phones(
        site,
        "number: 1001, account: acme, password: secret, max_concurrent: 2, caller_numbers: ['+4930', 4931], "
        "ring_timeout: 20, offline_gateway: carrier",
    )
    catalogue = site.load(text).catalogue
    phone = catalogue.phones["1001"]
    assert isinstance(phone, Phone)
    assert (phone.ring_timeout_ms, phone.offline_gateway, phone.enabled) == (20_000, "carrier", True)
    assert catalogue.mapping_gateways["1001"] is phone.gateway is catalogue.users["1001"]
    assert phone.gateway.credentials.username == "1001"
    assert phone.gateway.credentials.ha1 == {"MD5": md5("1001", "secret")}
    assert phone.gateway.max_concurrent == 2
    assert not catalogue.sources.knows("192.0.2.77", 5060), "nobody is known by an address that a phone may have"
    assert [phone.gateway.caller_numbers.permitted(shown) for shown in ("1001", "+1001", "4930", "+4931", "5", "")] == [
        "1001", "+1001", "4930", "+4931", "1001", "1001"
    ]  # fmt: skip


def test_a_trunk_with_credentials_needs_no_address(site):
    text = site.minimal.replace("hosts: 192.0.2.1", "auth: {username: pbx, password: secret}")
    catalogue = site.load(text).catalogue
    gateway = catalogue.mapping_gateways["acme-pbx"]
    assert gateway.hosts == ()
    assert catalogue.users == {"pbx": gateway}
    assert gateway.credentials.ha1 == {"MD5": md5("pbx", "secret")}


def test_trunks_that_prove_who_they_are_may_share_an_address(site):
    one = "{name: one, account: acme, hosts: 192.0.2.1, auth: {username: one, password: secret}}"
    two = one.replace("one", "two")
    both = site.minimal.replace("{name: acme-pbx, account: acme, hosts: 192.0.2.1}", f"{one}\n  - {two}")
    assert set(site.load(both).catalogue.users) == {"one", "two"}
    (error,) = site.errors(both.replace(", auth: {username: one, password: secret}", ""))
    assert "mapping gateways 'one' and 'two' both claim 192.0.2.1/32" in error


def test_a_hash_for_each_algorithm_that_is_challenged_is_kept(site):
    text = with_phones(site, "number: 1001, account: acme, username: desk, password: secret")
    text += "sip: {realm: example.org, digest: {algorithms: [sha-256, MD5]}}\n"
    loaded = site.load(text)
    assert loaded.catalogue.parameters.digest == DigestSettings("example.org", (Algorithm.SHA_256, Algorithm.MD5))
    assert loaded.catalogue.users["desk"].credentials.ha1 == {
        "SHA-256": ha1_of(Algorithm.SHA_256, "desk", "example.org", "secret"),
        "MD5": md5("desk", "secret", "example.org"),
    }


def test_a_password_can_stand_in_a_file_beside_the_one_that_names_it(site):
    site.write("partners/desk", "secret\n").chmod(0o600)
    site.write("partners/phones.yaml", "phones: [{number: 1001, account: acme, password_file: desk}]")
    catalogue = site.load(f"{site.minimal}include: partners/phones.yaml\n").catalogue
    assert catalogue.users["1001"].credentials.ha1 == {"MD5": md5("1001", "secret")}


def test_a_password_file_that_others_can_read_is_warned_of(site):
    site.write("desk", "secret").chmod(0o644)
    (warning,) = site.warnings(with_phones(site, "number: 1001, account: acme, password_file: desk"))
    assert "phones[1001].password_file: expected a file that others cannot read: chmod o-r desk" in warning


@pytest.mark.parametrize("content", ["", "\n", "two\nlines", "bell\a", "x" * 2000])
def test_a_password_file_holds_one_line(site, content):
    site.write("desk", content).chmod(0o600)
    (error,) = site.errors(with_phones(site, "number: 1001, account: acme, password_file: desk"))
    assert error.startswith("vosd.yaml:12: phones[1001].password_file: expected ")


def test_hashes_can_stand_in_the_file_instead_of_passwords(site):
    ha1 = md5("1001", "secret")
    phone = f"number: 1001, account: acme, ha1_md5: {ha1.upper()}"
    assert site.load(with_phones(site, phone)).catalogue.users["1001"].credentials.ha1 == {"MD5": ha1}
    (error,) = site.errors(with_phones(site, phone) + "sip: {digest: {algorithms: [SHA-256, MD5]}}\n")
    assert (
        "phones[1001].ha1_sha256: expected this key beside the other hash: sip.digest.algorithms has SHA-256" in error
    )


@pytest.mark.parametrize(
    ("phone", "error"),
    [
        ("number: 1001, account: acme", "phones[1001].password: expected one of password, password_file and"),
        ("number: 1001, account: acme, password: a, ha1_md5: " + "0" * 32, "expected exactly one of password,"),
        ("number: 1001, account: acme, password: a, password_file: b", "expected exactly one of password,"),
        ("number: 1001, account: acme, ha1_md5: 12", "phones[1001].ha1_md5: expected 32 hexadecimal digits"),
        ("number: alice, account: acme, password: a", "phones[alice].number: value 'alice': expected a number of"),
        ("number: 1001, account: acme, password: a, nat: maybe", "phones[1001].nat: value 'maybe': expected one"),
        ("number: 1001, account: nobody, password: a", "phones[1001].account: value 'nobody': expected the name of"),
        ("number: 1001, account: acme, password: a, offline_gateway: x", "phones[1001].offline_gateway: value 'x'"),
        ("number: 1001, account: acme, password_file: none", "phones[1001].password_file: expected a readable file"),
    ],
)
def test_a_mistake_about_a_phone_is_named_with_its_line(site, phone, error):
    (found,) = site.errors(with_phones(site, phone))
    assert found.startswith("vosd.yaml:12: ")
    assert error in found


def test_no_two_prove_who_they_are_with_the_same_user_name(site):
    text = with_phones(
        site,
        "number: 1001, account: acme, password: a",
        "number: 1002, account: acme, password: a, username: 1001",
    )
    (error,) = site.errors(text)
    assert error.startswith("vosd.yaml:13: phones[1002].username: value '1001': expected a username that differs from")
    assert error.endswith(" that of '1001' at vosd.yaml:12")


def test_no_two_phones_are_dialled_alike(site):
    phones = ["number: '1001', account: acme, password: a", "number: '+1001', account: acme, password: b"]
    (error,) = site.errors(with_phones(site, *phones))
    assert error == (
        "vosd.yaml:13: phones[+1001].number: value '+1001': expected another number than that of phones[1001] "
        "at vosd.yaml:12: a leading + is dropped"
    )


@pytest.mark.parametrize(
    ("hosts", "phone", "is_warned_of"),
    [
        ("192.0.0.0/16", "", True),
        ("192.0.0.0/16", ", hosts: 192.0.7.0/24", True),
        ("192.0.0.0/16", ", hosts: [10.1.0.0/16, '2001:db8::/32']", False),
        ("192.0.2.0/24", "", False),
        ("'2001:db8::/48'", "", True),
        ("'2001:db8::/64'", "", False),
        ("192.0.0.0/16, auth: {username: pbx, password: b}", "", False),
    ],
)
def test_a_trunk_that_any_phone_in_a_wide_network_is_taken_for_is_warned_of(site, hosts, phone, is_warned_of):
    text = site.minimal.replace("hosts: 192.0.2.1", f"hosts: {hosts}")
    assert site.warnings(text) == [], "without phones nobody else is there"
    warnings = site.warnings(
        with_phones(site, f"number: 1001, account: acme, password: a{phone}").replace(
            "hosts: 192.0.2.1}", f"hosts: {hosts}}}"
        )
    )
    assert len(warnings) == is_warned_of
    assert all(
        f"mapping_gateways[acme-pbx].hosts: value {hosts.strip(chr(39))!r}: expected narrower hosts, or auth" in each
        for each in warnings
    )


@pytest.mark.parametrize("name", ["acme-pbx", "carrier"])
def test_no_phone_has_the_name_of_a_gateway(site, name):
    text = with_phones(site, "number: 1001, account: acme, password: a").replace(f"name: {name}", "name: 1001")
    (error,) = site.errors(text)
    assert "phones[1001].number: value '1001': expected another number, or another name for the " in error


def test_no_message_shows_a_password(site):
    text = with_phones(site, f"number: 1001, account: acme, password: {SECRET}, ha1_md5: {SECRET}, username: ''")
    assert SECRET not in "\n".join(site.errors(text))
    loaded = site.load(with_phones(site, f"number: 1001, account: acme, password: {SECRET}"))
    assert SECRET not in repr(loaded)
    assert md5("1001", SECRET) not in repr(loaded)


def test_the_parameters_of_authentication_arrive(site):
    text = f"""{site.minimal}parameters:
  SS_SIP_AUTHENTICATION_CODE: Proxy Authentication Required(407)
  SS_SIP_AUTHENTICATION_TIMEOUT: 20
  SS_SIP_AUTHENTICATION_RETRY: 3
  SS_AUTHENTICATION_MAX_RETRY: 0
  SS_AUTHENTICATION_FAILED_SUSPEND: 60
"""
    parameters = site.load(text).catalogue.parameters
    assert parameters.digest == DigestSettings(status=407, nonce_life_ms=20_000)
    assert parameters.lock_out == LockOutSettings(0, 60_000)
    assert parameters.challenges_max == 3
    assert (
        site.load(text.replace("Proxy Authentication Required(407)", "401")).catalogue.parameters.digest.status == 401
    )
    (error,) = site.errors(text.replace("Required(407)", "(403)"))
    assert "expected Unauthorized(401) or Proxy Authentication Required(407)" in error


def test_another_password_makes_another_catalogue(site):
    def version(password: str) -> str:
        return site.load(with_phones(site, f"number: 1001, account: acme, password: {password}")).catalogue.version

    assert version("a") == version("a") != version("b")
