"""Telephones, and trunks that prove who they are."""

import pytest

from vosd.engine.settings import PhoneServiceSettings
from vosd.sip.digest.hashing import Algorithm, ha1_of
from vosd.sip.digest.settings import DigestSettings, LockOutSettings
from vosd.trunks.dialect import TransferDisplay, TransferKeys
from vosd.trunks.phone import Phone

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
    assert not catalogue.sources.knows("192.0.2.77", 5060), "an address that a phone may have does not identify it"
    assert [phone.gateway.caller_numbers.permitted(shown) for shown in ("1001", "+1001", "4930", "+4931", "5", "")] == [
        "1001", "+1001", "4930", "+4931", "1001", "1001"
    ]  # fmt: skip


def test_a_phone_that_names_no_offline_gateway_has_that_of_the_installation(site):
    text = with_phones(site, "number: 1001, account: acme, password: a")
    assert site.load(text).catalogue.phones["1001"].offline_gateway is None
    catalogue = site.load(f"{text}offline_gateway: carrier\n").catalogue
    assert catalogue.phones["1001"].offline_gateway == "carrier"
    assert [candidate.gateway.name for candidate in catalogue.routes.candidates("1001")] == ["1001", "carrier"]


def test_a_phone_sends_from_addresses_and_networks_and_no_name(site):
    text = with_phones(site, "number: 1001, account: acme, password: a, hosts: [192.0.2.0/24, '192.0.2.7:5060', NAME]")
    (error,) = site.errors(text.replace("NAME", "office.example.com"))
    assert "phones[1001].hosts[2]: value 'office.example.com': expected an IP address: a name can only stand" in error
    assert len(site.load(text.replace("NAME", "localhost")).catalogue.phones["1001"].gateway.hosts) == 3


def test_an_offline_gateway_of_the_installation_has_to_be_there(site):
    (error,) = site.errors(f"{site.minimal}offline_gateway: carier\n")
    assert "offline_gateway: value 'carier': expected the name of a routing gateway; did you mean" in error


def test_a_redirect_server_is_a_gateway_whose_redirections_are_followed(site):
    text = with_phones(site, "number: 1001, account: acme, password: a, redirect_server: carrier")
    (error,) = site.errors(text)
    assert "phones[1001].redirect_server: value 'carrier': expected a routing gateway with redirects: follow" in error
    catalogue = site.load(text.replace("address: 192.0.2.9", "address: 192.0.2.9, redirects: follow")).catalogue
    assert [candidate.gateway.name for candidate in catalogue.routes.candidates("1001")] == ["carrier", "1001"]


def test_a_trunk_with_credentials_needs_no_address(site):
    text = site.minimal.replace("hosts: 192.0.2.1", "auth: {username: pbx, password: secret}")
    catalogue = site.load(text).catalogue
    gateway = catalogue.mapping_gateways["acme-pbx"]
    assert gateway.hosts == ()
    assert catalogue.users == {"pbx": gateway}
    assert gateway.credentials.ha1 == {"MD5": md5("pbx", "secret")}


@pytest.mark.parametrize(
    ("host", "same", "claim"),
    [("192.0.2.1", "192.0.2.1", "192.0.2.1/32"), ("PBX.example", "pbx.example.", "pbx.example")],
)
def test_trunks_that_prove_who_they_are_may_share_an_address_or_a_name(site, host, same, claim):
    one = f"{{name: one, account: acme, hosts: {host}, auth: {{username: one, password: secret}}}}"
    two = one.replace("one", "two").replace(host, same)
    both = site.minimal.replace("{name: acme-pbx, account: acme, hosts: 192.0.2.1}", f"{one}\n  - {two}")
    assert set(site.load(both).catalogue.users) == {"one", "two"}
    (error,) = site.errors(both.replace(", auth: {username: one, password: secret}", ""))
    assert f"mapping gateways 'one' and 'two' both claim {claim}:" in error


def test_a_hash_for_each_algorithm_that_is_challenged_is_kept(site):
    text = with_phones(site, "number: 1001, account: acme, username: desk, password: secret")
    text += "sip: {realm: example.org, digest: {algorithms: [sha-256, MD5]}}\n"
    loaded = site.load(text)
    assert loaded.catalogue.parameters.digest == DigestSettings("example.org", (Algorithm.SHA_256, Algorithm.MD5))
    assert loaded.catalogue.users["desk"].credentials.ha1 == {
        "SHA-256": ha1_of(Algorithm.SHA_256, "desk", "example.org", "secret"),
        "MD5": md5("desk", "secret", "example.org"),
    }


def test_user_names_are_each_domains_own_and_the_domain_is_the_realm(site):
    text = with_phones(
        site,
        "number: 1001, account: acme, username: desk, password: a, domain: Acme.example",
        "number: 2001, account: acme, username: desk, password: b, domain: other.example",
        "number: 3001, account: acme, username: desk, password: c",
    ).replace("hosts: 192.0.2.1", "auth: {username: pbx, password: d, domain: other.example}")
    catalogue = site.load(text).catalogue
    assert {domain: sorted(users) for domain, users in catalogue.domains.items()} == {
        "acme.example": ["desk"], "other.example": ["desk", "pbx"]
    }  # fmt: skip
    assert catalogue.users == {"desk": catalogue.mapping_gateways["3001"]}
    gateways = [catalogue.mapping_gateways[name] for name in ("1001", "2001", "3001", "acme-pbx")]
    assert [gateway.credentials.ha1["MD5"] for gateway in gateways] == [
        md5("desk", "a", "acme.example"), md5("desk", "b", "other.example"), md5("desk", "c"),
        md5("pbx", "d", "other.example"),
    ]  # fmt: skip


def test_the_domain_that_is_the_realm_of_the_switch_is_no_domain_apart(site):
    text = with_phones(site, "number: 1001, account: acme, password: a, domain: Home.example")
    catalogue = site.load(f"{text}sip: {{realm: home.example}}\n").catalogue
    assert (set(catalogue.users), catalogue.domains) == ({"1001"}, {})


def test_a_domain_without_a_user_in_it_is_a_mistake(site):
    (error,) = site.errors(site.minimal.replace("hosts: 192.0.2.1", "hosts: 192.0.2.1, auth: {domain: a.example}"))
    assert "auth.username: expected a user name with the password or the domain" in error


def test_a_password_can_stand_in_a_file_beside_the_one_that_names_it(site):
    site.write("partners/desk", "secret\n").chmod(0o600)
    site.write("partners/phones.yaml", "phones: [{number: 1001, account: acme, password_file: desk}]")
    catalogue = site.load(f"{site.minimal}include: partners/phones.yaml\n").catalogue
    assert catalogue.users["1001"].credentials.ha1 == {"MD5": md5("1001", "secret")}


def test_a_password_file_that_others_can_read_is_warned_of(site):
    site.write("desk", "grey7stone4river").chmod(0o644)
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
        "phones[1001].ha1_sha256: expected this key besides the other hash: sip.digest.algorithms has SHA-256" in error
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
        ("number: 1001, account: unknown, password: a", "phones[1001].account: value 'unknown': expected the name of"),
        ("number: 1001, account: acme, password: a, offline_gateway: x", "phones[1001].offline_gateway: value 'x'"),
        ("number: 1001, account: acme, password_file: none", "phones[1001].password_file: expected a readable file"),
    ],
)
def test_a_mistake_about_a_phone_is_named_with_its_line(site, phone, error):
    (found,) = site.errors(with_phones(site, phone))
    assert found.startswith("vosd.yaml:12: ")
    assert error in found


def test_a_file_with_a_password_that_is_missing_is_named_by_its_directory_alone(site):
    """A password may have been written in the place of the name."""
    for name in ("zebra-onyx", "/zebra-onyx"):
        (found,) = site.errors(with_phones(site, f"number: 1001, account: acme, password_file: {name}"))
        assert "zebra-onyx" not in found
        assert found.endswith("no such file or directory") == name.startswith("/")
        assert (f"; a relative name is one in {site.directory}" in found) != name.startswith("/")


def test_no_two_prove_who_they_are_with_the_same_user_name(site):
    text = with_phones(
        site, "number: 1001, account: acme, password: a", "number: 1002, account: acme, password: a, username: 1001"
    )
    (error,) = site.errors(text)
    assert error.startswith(
        "vosd.yaml:13: phones[1002].username: value '1001': expected another domain, or a username that differs from"
    )
    assert error.endswith(" that of '1001' at vosd.yaml:12")


@pytest.mark.parametrize("number", ["112", "+911", "9112"])
def test_no_phone_has_an_emergency_number(site, number):
    text = with_phones(site, f"number: '{number}', account: acme, password: a")
    (error,) = site.errors(text + "\nparameters: {SERVER_BILLING_GATEWAY_ROUTE_PREFIX: 1}\n")
    assert error == (
        f"vosd.yaml:12: phones[{number}].number: value '{number}': expected no emergency number, for calls to it would "
        "ring here alone (routing.emergency_numbers has all)"
    )


def test_a_number_that_is_no_emergency_number_of_the_installation_is_one_of_a_phone(site):
    text = with_phones(site, "number: '110', account: acme, password: a")
    assert site.load(text + "\nrouting: {emergency_numbers: ['112']}\n").catalogue.phones.keys() == {"110"}


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
        ("192.0.0.0/16, auth: {username: pbx, password: a-long-secret-7}", "", False),
    ],
)
def test_a_trunk_that_any_phone_in_a_wide_network_is_taken_for_is_warned_of(site, hosts, phone, is_warned_of):
    text = site.minimal.replace("hosts: 192.0.2.1", f"hosts: {hosts}")
    assert site.warnings(text) == [], "without phones there are no other users"
    warnings = site.warnings(
        with_phones(site, f"number: 1001, account: acme, password: a-long-secret-7{phone}").replace(
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


def test_the_program_that_is_told_of_phones_is_named_by_address(site):
    assert site.load(site.minimal).settings.phone_service is None
    text = f"{site.minimal}phone_service: {{ip: '2001:db8::7', port: 8080, path: /phones?of=sw1}}\n"
    assert site.load(text).settings.phone_service == PhoneServiceSettings("2001:db8::7", 8080, "/phones?of=sw1")
    assert site.load(
        f"{site.minimal}phone_service: {{ip: 192.0.2.7}}\n"
    ).settings.phone_service == PhoneServiceSettings("192.0.2.7", 80, "/")


@pytest.mark.parametrize(
    ("keys", "error"),
    [
        ("port: 80", "phone_service.ip: expected the address that the program listens on"),
        ("ip: phones.example", "phone_service.ip: value 'phones.example': expected an IP address"),
        ("ip: 192.0.2.7, path: phones", "phone_service.path: value 'phones': expected a path such as /phones"),
        ("ip: 192.0.2.7, path: '/a b'", "phone_service.path: value '/a b': expected a path such as /phones"),
        ("ip: 192.0.2.7, port: 0", "phone_service.port: value '0': expected a whole number from 1 to 65535"),
    ],
)
def test_a_program_that_cannot_be_told_of_phones_is_a_mistake(site, keys, error):
    assert any(error in each for each in site.errors(f"{site.minimal}phone_service: {{{keys}}}\n"))


def test_what_a_phone_presses_to_transfer_arrives(site):
    keys = "transfer_keys: {blind: '*1', attended: '*2', cancel: '*0', end: 9}, transfer_display: phone"
    keys += ", transfer_timeout: 45"
    text = with_phones(
        site, f"number: 1001, account: acme, password: a, {keys}", "number: 1002, account: acme, password: a"
    )
    phones = site.load(text).catalogue.phones
    dialect = phones["1001"].gateway.dialect
    assert dialect.transfer_keys == TransferKeys("*1", "*2", "*0", "9")
    assert (dialect.transfer_timeout_ms, dialect.transfer_display) == (45_000, TransferDisplay.PHONE)
    assert phones["1002"].gateway.dialect.transfer_keys is None


def test_a_number_that_a_phone_shows_when_it_transfers_is_one_of_its_own(site):
    shown = "number: 1001, account: acme, password: a, transfer_display: 4930"
    dialect = site.load(with_phones(site, f"{shown}, caller_numbers: '+4930'")).catalogue.phones["1001"].gateway.dialect
    assert (dialect.transfer_display, dialect.transfer_number) == (TransferDisplay.NUMBER, "4930")
    (error,) = site.errors(with_phones(site, shown))
    assert "phones[1001].transfer_display: value '4930': expected caller, phone, or one of its caller_numbers" in error


@pytest.mark.parametrize(
    ("keys", "error"),
    [
        ("cancel: '*0'", "transfer_keys.blind: expected keys that start a transfer"),
        ("blind: '12345'", "transfer_keys.blind: value '12345': expected 1 to 4 keys of 0-9, *, # and A-D"),
        ("blind: '1', end: '*1'", "expected keys that end (*1) does not end with"),
        ("blind: '*1', cancel: '*1'", "expected keys that cancel (*1) does not end with"),
        ("blind: '*1', attended: '1'", "expected keys that blind (*1) does not end with"),
        ("blind: '*1', attended: '*12'", "expected keys that attended (*12) does not contain"),
        ("blind: '*1', cancel: '*', end: '*9'", "expected keys that end (*9) does not contain"),
        ("blind: '*1', cancel: '4'", "transfer_keys.cancel: value '4': expected keys with one of *, # and A-D"),
    ],
)
def test_sequences_that_cannot_be_told_apart_are_mistakes(site, keys, error):
    text = with_phones(site, f"number: 1001, account: acme, password: a, transfer_keys: {{{keys}}}")
    assert any(error in each for each in site.errors(text))


@pytest.mark.parametrize("password", ["secret", "aaaaaaaaaaaaaaaa", "123456789012", "qwertyuiopas"])
def test_passwords_that_are_easy_to_guess_are_one_warning(site, password):
    phones = [
        f"number: {number}, account: acme, password: {password}, username: '7001.{number}'"
        for number in range(7001, 7008)
    ]
    (warning,) = site.warnings(
        with_phones(site, *phones).replace("hosts: 192.0.2.1", "auth: {username: pbx, password: pbx}")
    )
    assert "expected 12 characters or more" in warning
    assert "those of phones[7001], phones[7002], phones[7003], phones[7004], phones[7005] and 3 others" in warning
    assert password not in warning
