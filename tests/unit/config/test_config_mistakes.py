"""Every mistake is named by file, line, key, value and what was expected; all of them at once."""

import re

import pytest

from vosd.catalogue.problems import ConfigError, DefinitionProblem, Severity


def test_mistakes_of_every_section_are_reported_at_once(site):
    errors = site.errors(
        """
        node: ""
        sip:
          listen: ["udp:127.0.0.1:99999"]
          timers: {t1: fast}
        shutdown_grace: -1
        parameters:
          SS_BILLINGUNIT: 0
        rate_groups:
          - name: sell
            rates:
              - {prefix: "44", billing_rate: "0,012"}
              - {prefix: "+49", billing_rate: "0.01", tax_rate: "101"}
        accounts:
          - {id: acme, rate_group: sel, overdraft_limit: lots}
          - {id: globex, rate_group: sel}
        mapping_gateways:
          - {name: pbx, account: acmee, hosts: [192.0.2.1/24]}
        routing_gateways:
          - {account: acme, address: "192.0.2.1:0"}
        """
    )

    assert errors == [
        "vosd.yaml:1: node: value '': expected a name of 1 to 64 printable characters",
        "vosd.yaml:3: sip.listen[0]: value 'udp:127.0.0.1:99999': expected a port from 1 to 65535",
        "vosd.yaml:4: sip.timers.t1: value 'fast': expected seconds from 0.01 to 10, with at most 3 decimals",
        "vosd.yaml:5: shutdown_grace: value '-1': expected a whole number from 0 to 86400",
        "vosd.yaml:7: parameters.SS_BILLINGUNIT: value '0': expected a whole number of seconds from 1 to 3600",
        (
            "vosd.yaml:11: rate_groups[sell].rates[0].billing_rate: value '0,012': "
            "expected an amount of 0 or more with at most 8 decimals, such as 0.012"
        ),
        (
            "vosd.yaml:12: rate_groups[sell].rates[1].prefix: value '+49': "
            "expected digits without + or blanks, or * for any number"
        ),
        (
            "vosd.yaml:12: rate_groups[sell].rates[1].tax_rate: value '101': "
            "expected percent from 0 to 100, with at most 4 decimals"
        ),
        (
            "vosd.yaml:14: accounts[acme].overdraft_limit: value 'lots': "
            "expected an amount from 0 to 999999999999, or unlimited"
        ),
        (
            "vosd.yaml:14: accounts[acme].rate_group: value 'sel': "
            "expected the name of a rate group; did you mean 'sell'?"
        ),
        (
            "vosd.yaml:15: accounts[globex].rate_group: value 'sel': "
            "expected the name of a rate group; did you mean 'sell'?"
        ),
        (
            "vosd.yaml:17: mapping_gateways[pbx].hosts[0]: value '192.0.2.1/24': "
            "expected a network without host bits: did you mean 192.0.2.0/24?"
        ),
        (
            "vosd.yaml:17: mapping_gateways[pbx].account: value 'acmee': "
            "expected the name of an account; did you mean 'acme'?"
        ),
        "vosd.yaml:19: routing_gateways[0].name: expected this key: a name of 1 to 64 printable characters",
        "vosd.yaml:19: routing_gateways[0].address: value '192.0.2.1:0': expected a port from 1 to 65535",
    ]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("sip: {lisen: x}", "sip.lisen: expected a known key; did you mean 'listen'?"),
        ("sip: {timers: {T1: 1}}", "sip.timers.T1: expected a known key; did you mean 't1'?"),
        ("nodes: x", "nodes: expected a known key; did you mean 'node'?"),
        ("accounts: [{id: a, overdraft: 1}]", ("accounts[a].overdraft: "
         "expected a known key; did you mean 'overdraft_limit'?")),
        ("parameters: {SS_BILINGUNIT: 6}", ("parameters.SS_BILINGUNIT: "
         "expected a known key; did you mean 'SS_BILLINGUNIT'?")),
        ("parameters: {fee_unit: 6}", ("parameters.fee_unit: "
         "expected a known key; did you mean 'SERVER_BILLING_FEE_UNIT'?")),
    ],
)  # fmt: skip
def test_an_unknown_key_is_named_with_the_nearest_known_one(site, text, error):
    assert f"vosd.yaml:1: {error}" in site.errors(text)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("cards: {digits: 12}", "cards"),
        ("sip: {qos: x}", "qos"),
        ("accounts: [{id: a, packages: b}]", "packages"),
        ("routing_gateways: [{name: a, account: b, address: 192.0.2.1, health: 5}]", "health"),
        ("rate_groups: [{name: a, equivalent_time: yes}]", "equivalent_time"),
    ],
)
def test_a_key_of_a_later_capability_is_an_error_that_says_so(site, text, key):
    assert any(f"expected no {key!r}: it is not built yet" in error for error in site.errors(text))


def test_a_customer_with_a_tls_of_its_own_is_told_what_there_is_instead(site):
    errors = site.errors("mapping_gateways: [{name: a, account: b, hosts: 192.0.2.1, tls: {certificate: x, key: y}}]")
    hint = "mapping_gateways[a].tls: expected a known key; did you mean 'certificate_names'?"
    assert any(each.endswith(hint) for each in errors)


@pytest.mark.parametrize(("text", "what"), [("accounts: [{id: a, type: card}]", "'card'")])
def test_a_value_of_a_later_capability_is_an_error_that_says_so(site, text, what):
    assert any(f"{what} is not built yet" in error for error in site.errors(text))


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("sip: {timers: hello}", "sip.timers: expected keys and values; its keys are t1, t2, t4"),
        ("limits: {max_call_seconds: [1]}",
         "limits.max_call_seconds: expected a whole number from 1 to 604800, not a list and no keys"),
        ("sip: {listen: {a: b}}", "sip.listen: expected one value, or a list of them"),
        ("mapping_gateways: [{name: m, account: a, hosts: 192.0.2.1, countries: {DE: yes}}]",
         "mapping_gateways[m].countries: expected one value, or a list of them"),
        ("radius: {servers: {address: 192.0.2.1, secret: hush}}",
         "radius.servers: expected a list: lines that begin with '- '"),
        ("radius: {servers: hush}", "radius.servers: expected a list: lines that begin with '- '"),
        ("webhooks: {name: billing}", "webhooks: expected a list: lines that begin with '- '"),
        ("sip: {listen: []}", "sip.listen: expected at least one socket, each once"),
        ("sip: {listen: ['udp:127.0.0.1', 'udp:127.0.0.1:5060']}",
         "sip.listen: expected at least one socket, each once"),
        ("sip: {dns: {min_ttl: 60, max_ttl: 30}}", "sip.dns.max_ttl: value '30': expected no less than min_ttl"),
        ("sip: {dns: {servers: ns.example.net}}", ("sip.dns.servers[0]: value 'ns.example.net': "
         "expected an IP address: a name can only stand where packets of a trunk come from or go")),
        ("sip: {listen: 'udp:sip.example.net:5060'}", ("sip.listen[0]: value 'udp:sip.example.net:5060': "
         "expected an IP address of this machine in place of the name, or 0.0.0.0 for all of them")),
        ("api: {listen: 'switch.example.net:8443'}", ("api.listen: value 'switch.example.net:8443': "
         "expected an IP address of this machine in place of the name, or 0.0.0.0 for all of them")),
        (f"mapping_gateways: [{{name: m, account: a, hosts: [{', '.join(f'h{each}.example' for each in range(17))}]}}]",
         "mapping_gateways[m].hosts: expected at most 16 names: each is looked up again and again"),
        ("mapping_gateways: [{name: m, account: a, hosts: 'pbx.example.net:0'}]",
         "mapping_gateways[m].hosts: value 'pbx.example.net:0': expected a port from 1 to 65535"),
        ("mapping_gateways: [{name: m, account: a, hosts: pbx.example.net/24}]",
         ("mapping_gateways[m].hosts: value 'pbx.example.net/24': "
          "expected an address, a network, a name, address:port or name:port, such as 192.0.2.0/24")),
        ("routing_gateways: [{name: r, account: a, address: 'sip.example.net;transport=tls'}]",
         ("routing_gateways[r].address: value 'sip.example.net;transport=tls': "
          "expected a tls socket in sip.listen: packets to that place are sent from there")),
        ("routing_gateways: [{name: r, account: a, address: '[fe80::2%eth0]'}]",
         ("routing_gateways[r].address: value '[fe80::2%eth0]': "
          "expected another address of the host: no SIP URI can say which link a link-local one (fe80::) is of")),
        ("routing_gateways: [{name: r, account: a, address: '[fe80::2]'}]",
         ("routing_gateways[r].address: value '[fe80::2]': "
          "expected another address of the host: no SIP URI can say which link a link-local one (fe80::) is of")),
        ("sip: {timers: {t1: 5}}", "sip.timers.t2: expected no less than t1"),
        ("accounts: acme", "accounts: expected a list: lines that begin with '- '"),
        ("accounts: [acme]", "accounts: expected keys and values in each item"),
        ("parameters: 5", "parameters: expected names and values of parameters"),
        ("rate_groups: [{name: a}]", "rate_groups[a]: expected rates, a rates_file, deck: true, or derive"),
        ("rate_groups: [{name: a, rates: 5}]",
         "rate_groups[a].rates: expected a list of rates: lines that begin with '- '"),
        ("rate_groups: [{name: a, rates: [5]}]",
         "rate_groups[a].rates[0]: expected keys and values, such as {prefix: 44, billing_rate: 0.012}"),
        ("rate_groups: [{name: a, rates_file: [5]}]", "rate_groups[a].rates_file: expected the name of a CSV file"),
        ("rate_groups: [{name: a, rates: [], rates_file: a.csv}]",
         "rate_groups[a].rates_file: expected either rates or rates_file"),
        ("accounts: [{id: a}, {id: a}]", ("accounts[a].id: value 'a': "
         "expected each id once; it also stands at vosd.yaml:1")),
        ("preset: vos2009", "preset: value 'vos2009': expected vos3000; did you mean 'vos3000'?"),
        ("accounts: [{id: a, expires_at: '2026-12-31 00:00'}]", ("accounts[a].expires_at: value '2026-12-31 00:00': "
         "expected a time with its zone, such as 2026-12-31T23:59:59Z")),
        ("accounts: [{id: a, overdraft_limit: -5}]",
         "accounts[a].overdraft_limit: value '-5': expected an amount from 0 to 999999999999, or unlimited"),
        ("accounts: [{id: a, currency: usd}]",
         "accounts[a].currency: value 'usd': expected an ISO 4217 code, such as USD"),
        ("sip: {server: \"a\\tb\"}", "sip.server: value 'a\\tb': expected 1 to 100 printable characters"),
        ("mapping_gateways: [{name: m, account: a, hosts: 192.0.2.1, tech_prefix: ab}]",
         "mapping_gateways[m].tech_prefix: value 'ab': expected 1 to 32 characters of 0-9, * and #"),
        ("accounts: [{id: a, enabled: maybe}]", "accounts[a].enabled: value 'maybe': expected yes or no"),
        ("accounts: [{id: a, max_cps: '1_0'}]", ("accounts[a].max_cps: value '1_0': "
         "expected a whole number from 1 to 1000000; leave the key out for no limit")),
        ("routing_gateways: [{name: r, account: a, address: []}]",
         "routing_gateways[r].address: expected at least one address, or register, or dynamic"),
        ("mapping_gateways: [{name: m, account: a, hosts: []}]",
         "mapping_gateways[m].hosts: expected at least one address or network, auth, or certificate_names"),
        ("routing_gateways: [{name: r, account: a, address: 192.0.2.1, prefixes: ['44', from_rates]}]",
         "routing_gateways[r].prefixes: expected either from_rates or a list of prefixes"),
        ("control_socket: " + "x" * 201, f"control_socket: value '{'x' * 200}…': expected a path of at most 107 bytes"),
    ],
)  # fmt: skip
def test_each_kind_of_mistake_says_what_was_expected(site, text, error):
    assert f"vosd.yaml:1: {error}" in site.errors(text)


@pytest.mark.parametrize("text", ["sip: hello", "sip: [a]"])
def test_where_a_section_is_something_else_some_of_its_keys_are_named(site, text):
    (error,) = site.errors(text)
    named = r"listen, advertise, unknown_source, \w+, \w+ and \d+ more"
    assert re.fullmatch(rf"vosd\.yaml:1: sip: expected keys and values; its keys are {named}", error)


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ("{account: acme, hosts: [192.0.2.2]}", "mapping_gateways[2].name: expected this key"),
        ("{name: pbx, account: acme, hosts: [192.0.2.2]}", "mapping_gateways[pbx].name: value 'pbx': expected each"),
        ("pbx", "mapping_gateways: expected keys and values"),
    ],
)
def test_beside_an_item_without_a_name_of_its_own_the_others_have_their_places(site, more, error):
    errors = site.errors(
        f"""
        accounts:
          - {{id: acme}}
        mapping_gateways:
          - {{name: pbx, account: acmee, hosts: [192.0.2.1]}}
          - name: shop
            account: absent
            hosts: [192.0.2.3]
          - {more}
        """
    )
    assert [each.partition(": value")[0] for each in errors if "name of an account" in each] == [
        "vosd.yaml:4: mapping_gateways[pbx].account",
        "vosd.yaml:6: mapping_gateways[shop].account",
    ]
    assert any(each.startswith("vosd.yaml:8") and error in each for each in errors)


def test_what_refers_to_a_broken_object_is_no_mistake_of_its_own(site):
    errors = site.errors(
        """
        accounts: [{id: acme, max_cps: 0}]
        mapping_gateways: [{name: pbx, account: acme, hosts: 192.0.2.1}]
        """
    )

    assert [error.partition(": ")[0] for error in errors] == ["vosd.yaml:1"]


def test_prefixes_from_the_rates_of_a_broken_account_are_no_mistake_of_their_own(site):
    errors = site.errors(
        """
        accounts: [{id: carrier, max_cps: 0}]
        routing_gateways: [{name: r, account: carrier, address: 192.0.2.1, prefixes: from_rates}]
        """
    )

    assert [error.partition(": ")[0] for error in errors] == ["vosd.yaml:1"]


def test_beside_a_mistake_what_is_right_counts(site):
    text = f"""{site.minimal}
media: {{engine: relay, workers: 0}}
limits: {{max_cps: many}}
webhooks: [{{name: crm}}, {{name: erp}}]
parameters: {{SS_MEDIAPROXYBETWEENNET: "Off"}}
phones: [{{number: "7001", account: acme, password: kmqx73-pwl9-vd, dtmf: info}}]
"""
    with pytest.raises(ConfigError) as caught:
        site.load(text)
    named = ["media.workers", "limits.max_cps", "webhooks[0].url", "webhooks[1].url"]
    assert [problem.key for problem in caught.value.problems] == named, "the media engine that is there is not missed"


def test_a_password_appears_in_no_message(site):
    site.environ = {"DB": "mysql+aiomysql://vosd:hunter2@:port/x"}
    texts = [
        "database: {url: '${DB}'}",
        "database: {url: 'mysql+aiomysql://vosd:hunter2@host:port/x'}",
        "database: {urll: 'mysql+aiomysql://vosd:hunter2@host/x'}",
        "database: {password: hunter2}",
        "mapping_gateways: [{name: a, account: b, hosts: 192.0.2.1, auth: {password: hunter2}}]",
        "registrations: {secret: hunter2}",
        "database: {url: !hunter2 x}",
        "database: {url: *hunter2}",
        "database: {url: 'mysql+aiomysql://vosd:hunter2${@h/x'}",
    ]

    for text in texts:
        assert "hunter2" not in "\n".join(site.errors(text))


def test_a_value_from_the_environment_is_shown_as_it_is_written(site):
    site.environ = {"GRACE": "soon"}

    assert site.errors("shutdown_grace: ${GRACE}") == [
        "vosd.yaml:1: shutdown_grace: value '${GRACE}': expected a whole number from 0 to 86400"
    ]


def test_the_error_lists_warnings_too_and_reads_as_a_list(site):
    with pytest.raises(ConfigError) as caught:
        site.load("node: ''\nparameters: {SS_H323_TIMEOUT_SETUP: 5}\n")

    assert [problem.severity for problem in caught.value.problems] == [Severity.ERROR, Severity.WARNING]
    assert str(caught.value).splitlines() == [str(problem) for problem in caught.value.problems]


def test_a_warning_says_that_it_is_one():
    problem = DefinitionProblem("a.yaml", 3, "key", "x", "y", Severity.WARNING)

    assert str(problem) == "a.yaml:3: warning: key: value 'x': expected y"


@pytest.mark.parametrize("path", [f"/var/lib/{'v' * 256}", "/var" * 1_001])
def test_a_path_that_no_file_can_have_is_an_error(site, path):
    (error,) = site.errors(f"state_dir: {path}\n")

    assert error.startswith(f"vosd.yaml:1: state_dir: value '{path[:100]}")
    assert error.endswith(": expected a path of at most 4000 bytes, with at most 255 in each name")
