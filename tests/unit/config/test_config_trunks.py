"""The keys of the SIP dialect of each trunk."""

import re
from pathlib import Path

import pytest

from vosd.catalogue.problems import ConfigError
from vosd.config.keys.dids import DidKeys
from vosd.config.keys.trunks import MappingGatewayKeys, RoutingGatewayKeys
from vosd.routing.special_numbers import EMERGENCY
from vosd.trunks.dialect import (
    CalleeDialect,
    CalleeSource,
    CallerDialect,
    CallerSource,
    IdentityHeader,
    Passing,
    Privacy,
    ReasonForm,
    Redirects,
    Reliability,
    Transfers,
)
from vosd.trunks.header_rules import HeaderRules, TrunkHeaders
from vosd.trunks.number_format import NumberFormat, NumberNotation


def customer(site, keys: str = "", top: str = "") -> CallerDialect:
    """Load a file whose one customer has further keys."""
    text = site.minimal.replace("hosts: 192.0.2.1", f"hosts: 192.0.2.1, {keys}".rstrip(", "))
    return site.load(top + text).catalogue.mapping_gateways["acme-pbx"].dialect


def vendor(site, keys: str = "", top: str = "") -> CalleeDialect:
    """Load a file whose one vendor has further keys."""
    text = site.minimal.replace("address: 192.0.2.9", f"address: 192.0.2.9, {keys}".rstrip(", "))
    return site.load(top + text).catalogue.routing_gateways["carrier"].dialect


def mistakes(site, side: str, keys: str, top: str = "") -> list[str]:
    """Return what is wrong with the keys, without where they stand."""
    there = {"customer": "hosts: 192.0.2.1", "vendor": "address: 192.0.2.9"}[side]
    found = site.errors(top + site.minimal.replace(there, f"{there}, {keys}"))
    return [problem.partition("].")[2] for problem in found]


def test_trunks_of_which_nothing_is_said_speak_the_usual_dialect(site):
    assert customer(site) == CallerDialect()
    assert vendor(site) == CalleeDialect()


def test_every_key_of_a_customers_dialect_arrives(site):
    keys = (
        "callee_from: to, caller_from: [remote-party-id, Diversion, from], reject_codes: {486: 480}, reason: both, "
        "reliable_provisionals: required, transfer: refuse"
    )
    assert customer(site, keys) == CallerDialect(
        callee_from=CalleeSource.TO,
        caller_from=(CallerSource.REMOTE_PARTY, CallerSource.DIVERSION, CallerSource.FROM),
        reliability=Reliability.REQUIRED,
        reasons=ReasonForm.BOTH,
        reject_codes={"486": 480},
        transfers=Transfers.REFUSE,
    )


def test_every_key_of_a_vendors_dialect_arrives(site):
    keys = (
        "identity: [from, p-asserted-identity, remote-party-id], privacy: pass, display_name: pass, diversion: pass, "
        "history_info: pass, reliable_provisionals: off, reason: none, reject_codes: {302: 404}, redirects: follow, "
        'interface: "udp:192.0.2.7:5070"'
    )
    assert vendor(site, keys, "sip: {listen: ['udp:192.0.2.6', 'udp:192.0.2.7:5070']}\n") == CalleeDialect(
        identity=(IdentityHeader.ASSERTED, IdentityHeader.REMOTE_PARTY),
        privacy=Privacy.PASS,
        display_name=Passing.PASS,
        diversion=Passing.PASS,
        history_info=Passing.PASS,
        reliability=Reliability.OFF,
        reasons=ReasonForm.NONE,
        reject_codes={"302": 404},
        redirects=Redirects.FOLLOW,
        interface="udp:192.0.2.7:5070",
    )


# -- VOS3000's places of the numbers ----------------------------------------------------------------------------------

VOS3000 = CallerDialect(callee_from=CalleeSource.TO, caller_from=(CallerSource.FROM,))


def test_vos3000s_preset_of_a_gateway_takes_the_numbers_from_to_and_from(site):
    assert customer(site, "preset: vos3000") == VOS3000


def test_vos3000s_preset_of_the_installation_does_so_for_every_gateway(site):
    assert customer(site, top="preset: vos3000\n") == VOS3000


def test_a_gateways_own_keys_win_over_either_preset(site):
    for keys, top in (
        ("preset: vos3000, callee_from: request-uri", ""),
        ("callee_from: request-uri", "preset: vos3000\n"),
    ):
        assert customer(site, keys, top) == CallerDialect(caller_from=(CallerSource.FROM,))


def test_the_called_prefixes_of_a_customer_are_what_it_may_call(site):
    """``prefixes`` is a key of vendors; a carrier looks for it at a customer, too."""
    (problem,) = site.errors(site.minimal.replace("hosts: 192.0.2.1", 'hosts: 192.0.2.1, prefixes: ["44"]'))
    assert problem.endswith("prefixes: expected a known key; did you mean 'callee_allow'?")


def test_a_template_can_carry_the_preset(site):
    assert customer(site, "template: old", "templates: {old: {preset: vos3000}}\n") == VOS3000


# -- maps of codes ----------------------------------------------------------------------------------------------------


def test_a_class_of_codes_stands_for_those_that_are_not_named(site):
    dialect = customer(site, "reject_codes: {5xx: 480, 503: 486, 4XX: 404}")
    assert [dialect.sent_for(code) for code in (500, 503, 599, 400, 600)] == [480, 486, 480, 404, 600]


def test_customers_get_challenges_and_the_end_of_cancelled_calls_as_they_are(site):
    dialect = customer(site, "reject_codes: {4xx: 404}")
    assert [dialect.sent_for(code) for code in (401, 407, 487, 488)] == [401, 407, 487, 404]


def test_a_vendors_challenge_or_redirection_can_count_as_something_else(site):
    dialect = vendor(site, "reject_codes: {3xx: 404, 407: 403, 487: 480}")
    assert [dialect.counted_as(code) for code in (302, 407, 487, 503)] == [404, 403, 480, 503]


def test_codes_of_which_nothing_is_said_stay(site):
    assert (customer(site).sent_for(486), vendor(site).counted_as(486)) == (486, 486)


def test_a_change_of_dialect_is_a_new_version_of_the_catalogue(site):
    versions = {
        site.load(site.minimal.replace("address: 192.0.2.9", f"address: 192.0.2.9{keys}")).catalogue.version
        for keys in ("", ", reject_codes: {486: 480, 5xx: 503}", ", identity: [p-asserted-identity, remote-party-id]")
    }
    assert len(versions) == 3


CAN_BE_REPLACED = "expected a final code that can be replaced, such as 486, or a class such as 5xx"
CAN_BE_SENT = "expected a final code from 400 to 699 that can stand by itself"


@pytest.mark.parametrize(
    ("side", "codes", "problem"),
    [
        ("customer", "{487: 480}", f"reject_codes.487: value '480': {CAN_BE_REPLACED}"),
        ("customer", "{180: 480}", f"reject_codes.180: value '480': {CAN_BE_REPLACED}"),
        ("customer", "{302: 480}", f"reject_codes.302: value '480': {CAN_BE_REPLACED}"),
        ("customer", "{486: 401}", f"reject_codes.486: value '401': {CAN_BE_SENT}"),
        ("customer", "{486: 5xx}", f"reject_codes.486: value '5xx': {CAN_BE_SENT}"),
        ("vendor", "{486: 302}", f"reject_codes.486: value '302': {CAN_BE_SENT}"),
        ("vendor", "{busy: 486}", f"reject_codes.busy: value '486': {CAN_BE_REPLACED}"),
        ("vendor", "{4\u0661\u0661: 486}", f"reject_codes.4\u0661\u0661: value '486': {CAN_BE_REPLACED}"),
        ("vendor", "{486: {480: 1}}", f"reject_codes.486: {CAN_BE_SENT}"),
        ("vendor", "[486, 480]", "reject_codes: expected codes and what each counts as, such as {486: 480, 5xx: 503}"),
        (
            "customer",
            "486",
            "reject_codes: value '486': expected codes and what is sent instead, such as {486: 480, 5xx: 503}",
        ),
    ],
)
def test_codes_that_cannot_be_meant_are_errors(site, side, codes, problem):
    assert mistakes(site, side, f"reject_codes: {codes}") == [problem]


# -- interfaces -------------------------------------------------------------------------------------------------------


def test_an_interface_that_the_switch_does_not_listen_on_is_an_error(site):
    assert mistakes(site, "vendor", 'interface: "udp:192.0.2.8:5060"') == [
        "interface: value 'udp:192.0.2.8:5060': expected one of sip.listen: udp:127.0.0.1:5060"
    ]


def test_an_interface_of_the_other_internet_protocol_cannot_reach_the_vendor(site):
    top = 'sip: {listen: ["udp:192.0.2.6", "udp:[2001:db8::6]"]}\n'
    assert mistakes(site, "vendor", 'interface: "udp:[2001:db8::6]"', top) == [
        "interface: value 'udp:[2001:db8::6]:5060': expected a socket that can reach 192.0.2.9 by udp"
    ]


def test_an_interface_of_an_installation_with_other_mistakes_is_not_judged(site):
    assert mistakes(site, "vendor", 'interface: "udp:192.0.2.8:5060"', "sip: {listen: nonsense}\n") == [""]


# -- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "key", "expected"),
    [
        ("customer", "callee_from: ruri", "callee_from: value 'ruri': expected one of request-uri, to"),
        ("customer", "caller_from: []", "caller_from: expected at least one header, each once"),
        ("customer", "caller_from: [from, from]", "caller_from: expected at least one header, each once"),
        ("customer", "transfer: maybe", "transfer: value 'maybe': expected one of accept, refuse"),
        ("vendor", "privacy: yes", "privacy: value 'yes': expected one of honour, pass, anonymise, strip"),
        (
            "vendor",
            "identity: pai",
            "identity: value 'pai': expected one of from, p-asserted-identity, remote-party-id",
        ),
    ],
)
def test_words_that_mean_nothing_are_errors_that_name_those_that_do(site, side, key, expected):
    (problem,) = mistakes(site, side, key)
    assert problem.startswith(expected)


# -- how the switch appears to a trunk --------------------------------------------------------------------------------


def test_an_outbound_proxy_gets_the_packets_and_the_address_stays_in_the_request(site):
    text = site.minimal.replace(
        "address: 192.0.2.9", "address: sip.carrier.example, outbound_proxy: proxy.example, route: sip:core.example"
    )
    gateway = site.load(text).catalogue.routing_gateways["carrier"]
    assert [each.host for each in gateway.addresses] == ["proxy.example"]
    assert gateway.dialect.request_host == "sip.carrier.example"
    assert gateway.dialect.route == ("<sip:proxy.example;lr>", "<sip:core.example;lr>")


def test_a_strict_proxy_has_no_lr(site):
    assert vendor(site, "outbound_proxy: 192.0.2.7, strict_proxy: yes").route == ("<sip:192.0.2.7:5060>",)


def test_header_rules_and_forms_of_numbers_arrive(site):
    keys = (
        'headers: {pass: [X-*, User-to-User], remove: X-Internal, set: {X-Tenant: "{account}"}, '
        "responses: {add: {X-Seen: yes}}}, number_format: {from: national, country: 49, user_phone: yes}"
    )
    dialect = vendor(site, keys)
    assert dialect.headers == TrunkHeaders(
        HeaderRules(("x-*", "user-to-user"), ("x-internal",), (("X-Tenant", "{account}"),)),
        HeaderRules(adds=(("X-Seen", "yes"),)),
    )
    assert dialect.number_format == NumberFormat(
        from_=NumberNotation.NATIONAL, country="49", user_phone=True, emergency=EMERGENCY
    )
    assert customer(site, "headers: {responses: {pass: P-Asserted-Identity}}").headers == TrunkHeaders(
        responses=HeaderRules(("p-asserted-identity",))
    )


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("headers: {pass: Via}", "headers.pass[0]: value 'Via': expected a header that rules may name: not Via, it"),
        (
            "headers: {set: {Call-ID: x}}",
            "headers.set.Call-ID: value 'x': expected a header that rules may name: not Call-ID",
        ),
        (
            "headers: {pass: Privacy}",
            "headers.pass[0]: value 'Privacy': expected a header that can be passed: not Privacy",
        ),
        ('headers: {add: {X-A: "{who}"}}', "headers.add.X-A: value '{who}': expected one of {caller}"),
        ("number_format: {to: national}", "number_format.country: expected the country code"),
        ("causes: {received: {128: 1}}", "expected a cause of Q.850, from 1 to 127, and another one"),
        ("causes: {sent: {16: busy}}", "expected a cause of Q.850, from 1 to 127, and another one"),
        ("strict_proxy: yes", "strict_proxy: value 'yes': expected beside outbound_proxy"),
        ("route: http://x", "route: value 'http://x': expected a SIP URI"),
        ("from_host: 192.0.2.1:5060", "from_host: value '192.0.2.1:5060': expected a name or an address without port"),
    ],
)
def test_mistakes_in_them_are_named(site, keys, expected):
    (problem,) = mistakes(site, "vendor", keys)
    assert expected in problem


# -- the chapter for operators ----------------------------------------------------------------------------------------

CHAPTER = (Path(__file__).parents[3] / "docs" / "trunks.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", CHAPTER, re.DOTALL)


def test_the_examples_of_the_chapter_are_right(site):
    accounts = site.minimal.partition("mapping_gateways:")[0]
    assert len(EXAMPLES) == 10
    site.environ = {"CARRIER": "secret", "BERLIN": "secret", "REST": "secret", "GSM_BOX": "secret", "PBX": "secret"}
    customers, named, grouped, vendors, proxied, exchanges, numbers, wary, registrars, dynamic = (
        site.load(accounts + example).catalogue for example in EXAMPLES
    )
    assert customers.mapping_gateways["old-switch"].dialect.callee_from is CalleeSource.TO
    assert len(customers.mapping_gateways) == 2
    assert [str(each) for each in named.sources.named["branch"].named_hosts] == ["pbx.acme.example"]
    assert grouped.plans["economy"].plan.names == {"carrier-a", "carrier-b"}
    assert [each.name for each in grouped.sources.gateways_at("198.51.100.1")] == ["dialler", "office"]
    assert vendors.routing_gateways["tier-one"].dialect.interface == "udp:192.0.2.2:5060"
    assert len(vendors.routing_gateways) == 3
    assert proxied.routing_gateways["carrier-by-proxy"].dialect.route == ("<sip:198.51.100.7:5060;lr>",)
    assert exchanges.mapping_gateways["exchange"].dialect.bodies == {"application/isup"}
    assert numbers.dids is not None
    assert numbers.dids.find("4930123442").trunk == "pbx"
    assert wary.routing_gateways["carrier"].login.username == "acme"
    assert dynamic.users["gsm-box"].name == "gsm-box"
    users = {name: gateway.registration.user for name, gateway in registrars.routing_gateways.items()}
    assert users == {"carrier-berlin": "4930123456", "carrier-rest": "4989123456"}


def test_every_key_that_the_chapter_shows_is_one_of_a_gateways():
    shown = set(re.findall(r"`([a-z_]+): ", CHAPTER))
    known = {*MappingGatewayKeys.by_key(), *RoutingGatewayKeys.by_key(), *DidKeys.by_key(), "address_groups"}
    assert shown - known == set()
    assert len(shown) > 5


@pytest.mark.parametrize(
    "kind", ["application/sdp", "Multipart/mixed", "message/sip", "isup", "application/*", "a/b;c"]
)
def test_a_body_that_cannot_be_passed_is_an_error(site, kind):
    with pytest.raises(ConfigError) as caught:
        vendor(site, f'bodies: {{pass: "{kind}"}}')
    assert ["bodies" in str(each) and kind in str(each) for each in caught.value.problems] == [True]
