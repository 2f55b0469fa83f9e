"""Vendors that want proof, a registration, or to be asked whether they are there."""

import pytest

from vosd.admin.differences import describe
from vosd.base.credentials import Login
from vosd.base.nat import Nat
from vosd.base.secret import Secret
from vosd.sip.digest.hashing import Algorithm, ha1_of
from vosd.trunks.gateways import Address, Ping, Registration, RoutingGateway

SECRET = "correct horse"
LOGIN = Login("alice", Secret(SECRET))
AUTH = f"auth: {{username: alice, password: {SECRET}}}"


def text_of(site, keys: str, *, address: str = "address: 192.0.2.9") -> str:
    return site.minimal.replace("address: 192.0.2.9", ", ".join(filter(None, (address, keys))))


def vendor(site, keys: str, *, address: str = "address: 192.0.2.9") -> RoutingGateway:
    return site.load(text_of(site, keys, address=address)).catalogue.routing_gateways["carrier"]


def mistakes(site, keys: str, *, address: str = "address: 192.0.2.9") -> list[str]:
    return [problem.partition("].")[2] for problem in site.errors(text_of(site, keys, address=address))]


def test_a_vendor_wants_nothing_unless_it_is_said(site):
    gateway = vendor(site, "")
    assert (gateway.login, gateway.registration, gateway.ping) == (None, None, None)


def test_a_gateway_cannot_be_valid_to_a_day_before_it_is_valid(site):
    assert mistakes(site, "valid_from: 2026-12-01, valid_to: 2026-11-30") == [
        "valid_to: value '2026-11-30': expected an end after valid_from"
    ]


class TestLogin:
    """``auth``."""

    def test_it_is_kept_as_it_is(self, site):
        assert vendor(site, AUTH).login == LOGIN

    def test_a_password_may_stand_in_a_file(self, site):
        site.write("secret", f"{SECRET}\n").chmod(0o600)
        assert vendor(site, "auth: {username: alice, password_file: secret}").login == LOGIN

    def test_a_file_that_is_not_there_is_named(self, site):
        (mistake,) = mistakes(site, "auth: {username: alice, password_file: none}")
        assert mistake.startswith("auth.password_file: ")
        assert "readable file" in mistake

    @pytest.mark.parametrize(
        ("keys", "mistake"),
        [
            ("auth: {username: alice}", "auth.password: expected either password or password_file"),
            ("auth: {password: x}", "auth.username: expected a user name with the password"),
            (
                "auth: {username: alice, password: x, password_file: y}",
                "auth.password: expected either password or password_file",
            ),
        ],
    )
    def test_half_of_it_is_a_mistake(self, site, keys, mistake):
        assert mistakes(site, keys) == [mistake]

    def test_another_password_is_another_catalogue(self, site):
        versions = {
            site.load(text_of(site, f"auth: {{username: a, password: {each}}}")).catalogue.version for each in "xy"
        }
        assert len(versions) == 2

    def test_no_message_and_no_listing_has_it(self, site):
        assert SECRET not in repr(vendor(site, AUTH))
        for problem in site.errors(text_of(site, f"auth: {{username: alice, password: {SECRET}, passwort: x}}")):
            assert SECRET not in problem


class TestRegister:
    """``register``."""

    def test_what_is_left_out_follows_from_the_rest(self, site):
        gateway = vendor(site, f"{AUTH}, register: {{server: sip.example.net}}", address="")
        assert gateway.registration == Registration(
            server=Address("sip.example.net", None),
            domain="sip.example.net",
            user="alice",
            contact_user="alice",
            login=LOGIN,
            expires_s=3_600,
        )
        assert gateway.addresses == (Address("sip.example.net", None),)

    def test_everything_may_be_said(self, site):
        gateway = vendor(
            site,
            "register: {server: '192.0.2.9:5070', username: bob, password: other, domain: example.org, "
            "contact_user: trunk7, expires: 600}",
        )
        assert gateway.registration == Registration(
            server=Address("192.0.2.9", 5070),
            domain="example.org",
            user="bob",
            contact_user="trunk7",
            login=Login("bob", Secret("other")),
            expires_s=600,
        )
        assert gateway.addresses == (Address("192.0.2.9", 5060),)
        assert gateway.login == Login("bob", Secret("other")), "its calls are proven as it is"

    def test_an_account_may_be_registered_with_another_login(self, site):
        gateway = vendor(site, f"{AUTH}, register: {{server: 192.0.2.9, username: 4930123}}")
        assert (gateway.registration.user, gateway.registration.login) == ("4930123", LOGIN)

    def test_calls_and_registration_may_differ(self, site):
        gateway = vendor(site, f"{AUTH}, register: {{server: 192.0.2.9, username: bob, password: other}}")
        assert (gateway.login, gateway.registration.login) == (LOGIN, Login("bob", Secret("other")))

    def test_several_gateways_may_register_at_one_server(self, site):
        one = f"{{name: carrier, account: carrier, {AUTH}, register: {{server: 192.0.2.9}}}}"
        both = f"{one}\n  - {one.replace('alice', 'bob').replace('name: carrier', 'name: second')}"
        text = site.minimal.replace("{name: carrier, account: carrier, address: 192.0.2.9}", both)
        gateways = site.load(text).catalogue.routing_gateways
        assert [gateway.registration.user for gateway in gateways.values()] == ["alice", "bob"]

    @pytest.mark.parametrize(
        ("keys", "mistake"),
        [
            ("register: {username: bob, password: x}", "register.server: expected where REGISTER is sent"),
            ("register: {server: 192.0.2.9}", "register: expected username and password in it, or auth of the gateway"),
            (
                "register: {server: 192.0.2.9, password: x}",
                "register: expected username and password in it, or auth of the gateway",
            ),
            (
                f"{AUTH}, register: {{server: 192.0.2.9, password: x, password_file: y}}",
                "register.password: expected either password or password_file",
            ),
            (
                f"{AUTH}, register: {{server: 192.0.2.9, domain: 'a b'}}",
                "register.domain: value 'a b': expected a domain or an IP address, without port",
            ),
            (
                f"{AUTH}, register: {{server: 192.0.2.9, expires: 5}}",
                "register.expires: value '5': expected a whole number of seconds from 10 to 604800",
            ),
        ],
    )
    def test_half_of_it_is_a_mistake(self, site, keys, mistake):
        assert mistakes(site, keys) == [mistake]

    def test_without_it_an_address_is_needed(self, site):
        assert mistakes(site, AUTH, address="") == ["address: expected at least one address, or register, or dynamic"]

    def test_a_socket_has_to_lead_there(self, site):
        (mistake,) = mistakes(site, f"{AUTH}, register: {{server: '192.0.2.9;transport=tcp'}}")
        assert mistake.startswith("register: value '192.0.2.9;transport=tcp': expected a tcp socket in sip.listen")


class TestPing:
    """``options_ping``."""

    def test_only_the_interval_has_to_be_said(self, site):
        assert vendor(site, "options_ping: {interval: 30}").ping == Ping(30_000, 4_000, 3, 2)

    def test_everything_may_be_said(self, site):
        keys = "options_ping: {interval: 10, timeout: 1.5, down_after: 5, up_after: 1}"
        assert vendor(site, keys).ping == Ping(10_000, 1_500, 5, 1)

    @pytest.mark.parametrize(
        ("keys", "mistake"),
        [
            ("options_ping: {timeout: 2}", "options_ping.interval: expected how often OPTIONS is sent"),
            ("options_ping: {interval: 3}", "options_ping.timeout: expected no longer than interval"),
            (
                "options_ping: {interval: 30, down_after: 0}",
                "options_ping.down_after: value '0': expected a whole number from 1 to 100",
            ),
        ],
    )
    def test_mistakes(self, site, keys, mistake):
        assert mistakes(site, keys) == [mistake]


class TestDynamic:
    """``dynamic``: a vendor that registers with us."""

    KEYS = "dynamic: {username: box, password: secret}"

    def test_it_needs_no_address_and_is_known_by_its_user_name(self, site):
        catalogue = site.load(text_of(site, self.KEYS, address="")).catalogue
        gateway = catalogue.routing_gateways["carrier"]
        assert (gateway.addresses, gateway.registers, gateway.login, gateway.registration) == ((), True, None, None)
        assert gateway.credentials.ha1 == {"MD5": ha1_of(Algorithm.MD5, "box", "vosd", "secret")}
        assert (catalogue.users["box"].name, catalogue.users["box"].credentials) == ("carrier", gateway.credentials)
        assert "carrier" not in catalogue.mapping_gateways, "it is no customer"

    def test_behind_nat_it_is_found_by_itself_unless_that_is_said(self, site):
        assert vendor(site, self.KEYS, address="").dialect.nat is Nat.AUTO
        assert vendor(site, f"{self.KEYS}, nat: no", address="").dialect.nat is Nat.NO
        assert vendor(site, "").dialect.nat is Nat.NO

    @pytest.mark.parametrize("more", ["address: 192.0.2.9", "register: {server: 192.0.2.9, username: a, password: b}"])
    def test_it_has_no_place_of_its_own(self, site, more):
        (mistake,) = mistakes(site, f"{self.KEYS}, {more}", address="")
        assert mistake.startswith("dynamic: expected neither address nor register")

    def test_it_may_not_have_the_name_of_a_customer(self, site):
        text = text_of(site, self.KEYS, address="").replace("name: carrier", "name: acme-pbx")
        (error,) = [each for each in site.errors(text) if ".name:" in each]
        assert "value 'acme-pbx': expected another name than that of the mapping gateway at" in error

    def test_its_user_name_is_its_own(self, site):
        text = text_of(site, self.KEYS, address="").replace("hosts: 192.0.2.1", "auth: {username: box, password: x}")
        (error,) = site.errors(text)
        assert "routing_gateways[carrier].username: value 'box': expected another domain, or a username" in error

    def test_no_hash_is_shown(self, site):
        loaded = site.load(text_of(site, self.KEYS, address=""))
        shown = str(describe(loaded.settings, loaded.transports, loaded.catalogue))
        assert loaded.catalogue.routing_gateways["carrier"].credentials.ha1["MD5"] not in shown
