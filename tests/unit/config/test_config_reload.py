"""A reload: what may change does, the rest waits, a bad file changes nothing."""

from dataclasses import fields

import pytest

from vosd.catalogue.losses import Busy, Loss, objections, settled
from vosd.catalogue.problems import Severity
from vosd.config.assembly.remembered import Remembered
from vosd.config.load import load
from vosd.config.reload import RESTART_KEYS, reload
from vosd.engine.settings import LogLevel, Settings

IDLE = Busy(frozenset(), frozenset())


def test_a_changed_catalogue_is_taken(site):
    running = site.load(site.minimal)
    path = site.write("vosd.yaml", site.minimal.replace("id: acme,", "id: acme, max_cps: 3,"))

    outcome = reload(path, running)

    assert outcome.is_accepted
    assert outcome.problems == ()
    assert outcome.in_force.catalogue.accounts["acme"].max_cps == 3
    assert outcome.in_force.catalogue.version != running.catalogue.version


def test_a_reload_names_all_that_differs_from_the_running_catalogue_and_not_from_one_that_was_never_taken(site):
    phones = (
        "phones:\n  - {number: '1001', account: acme, password: a}\n  - {number: '1002', account: acme, password: a}\n"
    )
    remembered, running = Remembered(), site.load(site.minimal + phones)
    first = phones.replace("password: a", "password: b", 1)
    reload(site.write("vosd.yaml", site.minimal + first), running, remembered=remembered)
    both = site.write("vosd.yaml", site.minimal.replace("id: acme,", "id: acme, max_cps: 3,") + first)

    changes = reload(both, running, remembered=remembered).in_force.catalogue.changes

    assert changes is not None
    assert (changes.since, changes.accounts) == (running.catalogue.version, {"acme"})
    assert (changes.mapping_gateways, changes.phones, changes.routing_gateways) == ({"1001"}, {"1001"}, set())


def test_a_bad_file_leaves_the_old_configuration_in_force(site):
    running = site.load(site.minimal)
    path = site.write("vosd.yaml", site.minimal.replace("id: acme,", "id: acme, max_cps: lots,"))

    outcome = reload(path, running)

    assert not outcome.is_accepted
    assert outcome.in_force is running
    assert [problem.key for problem in outcome.problems] == ["accounts[acme].max_cps"]


def test_what_needs_a_restart_keeps_its_running_value_and_is_named(site):
    running = site.load("node: a\nlog: {level: info}\n")
    path = site.write(
        "vosd.yaml",
        """
        node: b
        sip:
          listen: udp:127.0.0.1:5070
        database:
          url: sqlite+aiosqlite:///other.db
        state_dir: elsewhere
        shutdown_grace: 5
        log: {level: debug}
        """,
    )

    outcome = reload(path, running)

    *others, state_dir = [site.shown(str(problem)) for problem in outcome.problems]
    assert others == [
        f"vosd.yaml:{line}: warning: {key}: expected a restart: the change takes effect after it"
        for line, key in ((1, "node"), (3, "sip.listen"), (5, "database.url"))
    ]
    assert state_dir.startswith(
        "vosd.yaml:6: warning: state_dir: expected the content of the directory of before in it"
    )
    settings = outcome.in_force.settings
    assert (settings.node, settings.listen, settings.database_url) == (
        "a",
        running.settings.listen,
        running.settings.database_url,
    )
    assert (settings.log_level, settings.shutdown_grace_s) == (LogLevel.DEBUG, 5)


def test_a_relay_beside_rtpengines_waits_for_a_restart(site):
    pool = "media: {engine: rtpengine, rtpengine: [{name: one, address: 192.0.2.5:2223}]%s}\n"
    running = site.load(pool % "")
    path = site.write("vosd.yaml", pool % ", fallback: relay")

    outcome = reload(path, reload(path, running).in_force)

    assert [site.shown(str(problem)) for problem in outcome.problems] == [
        "vosd.yaml:1: warning: media: expected a restart: the change takes effect after it"
    ]


@pytest.mark.parametrize(
    ("url", "waits"),
    [
        ("mysql+aiomysql://vosd:new@db1/vosd?program_name=sw1", False),
        ("mysql+aiomysql://other@db1/vosd?program_name=sw1", False),
        ("mysql+aiomysql://vosd:old@db2/vosd?program_name=sw1", True),
        ("mysql+aiomysql://vosd:new@db1/vosd", True),
        ("mysql+aiomysql://vosd:new@db1/other?program_name=sw1", True),
    ],
)
def test_user_and_password_of_the_database_are_taken_at_once_and_another_database_waits(site, url, waits):
    before = "mysql+aiomysql://vosd:old@db1/vosd?program_name=sw1"
    running = site.load(f"database: {{url: '{before}'}}\n")
    outcome = reload(site.write("vosd.yaml", f"database: {{url: '{url}'}}\n"), running)
    assert [problem.key for problem in outcome.problems] == ["database.url"] * waits
    assert outcome.in_force.settings.database_url.reveal() == (before if waits else url)


def test_a_further_socket_is_one_change_that_waits(site):
    running = site.load("sip: {listen: [udp:127.0.0.1:5060]}\n")
    path = site.write("vosd.yaml", "sip: {listen: [udp:127.0.0.1:5060, tcp:127.0.0.1:5060]}\n")
    assert [problem.key for problem in reload(path, running).problems] == ["sip.listen"]
    path = site.write("vosd.yaml", "sip: {listen: [udp:127.0.0.1:5060], advertise: 192.0.2.1}\n")
    assert [problem.key for problem in reload(path, running).problems] == ["sip.advertise"]


def test_a_change_that_waits_is_named_again_at_the_next_reload(site):
    running = site.load("node: a\n")
    path = site.write("vosd.yaml", "node: b\n")

    again = reload(path, reload(path, running).in_force)

    assert [problem.key for problem in again.problems] == ["node"]


def test_a_setting_that_is_removed_is_named_too(site):
    running = site.load("node: a\n")
    path = site.write("vosd.yaml", "limits:\n")

    assert [site.shown(str(problem)) for problem in reload(path, running).problems] == [
        "vosd.yaml: warning: node: expected a restart: the change takes effect after it"
    ]


VENDOR = "accounts: [{id: v, type: clearing}]\nrouting_gateways: [{name: v, account: v, allow_unrated: yes"


@pytest.mark.parametrize(
    ("socket", "gateway", "key"),
    [
        ("tcp:127.0.0.1:5070", "address: 127.0.0.2;transport=tcp", "address"),
        ("udp:127.0.0.1:5070", "address: 127.0.0.2, interface: 'udp:127.0.0.1:5070'", "interface"),
        (
            "tcp:127.0.0.1:5070",
            "address: 127.0.0.2, register: {server: 127.0.0.2;transport=tcp, username: u, password: p}",
            "register",
        ),
    ],
)
def test_what_needs_a_socket_that_only_a_restart_opens_is_refused_until_then(site, socket, gateway, key):
    """The socket that is open would send it: in clear, where the gateway asks for TLS."""
    site.load("sip: {listen: [udp:127.0.0.1:5060]}\n")
    remembered = Remembered()
    running = load(site.directory / "vosd.yaml", remembered=remembered)
    text = f"sip: {{listen: ['udp:127.0.0.1:5060', '{socket}']}}\n{VENDOR}, {gateway}}}]\n"
    path = site.write("vosd.yaml", text)

    refused = reload(path, running, remembered=remembered)

    assert not refused.is_accepted
    (error,) = (str(each) for each in refused.problems if each.severity is Severity.ERROR)
    assert f"routing_gateways[v].{key}: " in error
    assert "a socket that is open: vosd restart opens one that was added to sip.listen" in error
    restarted = load(path)
    assert reload(path, restarted).is_accepted


@pytest.mark.parametrize(("section", "key"), [("number_portability", "server"), ("redirect_server", "address")])
def test_a_server_that_needs_a_socket_that_only_a_restart_opens_is_refused_until_then(site, section, key):
    sip, server = "sip: {listen: [udp:127.0.0.1:5060]}", f"{section}: {{{key}: 127.0.0.2;transport=tcp}}\n"
    running = site.load(f"{sip}\n")
    path = site.write("vosd.yaml", f"{sip.replace(']', ', tcp:127.0.0.1:5070]')}\n{server}")
    refused = reload(path, running)
    assert [each.key for each in refused.problems if each.severity is Severity.ERROR] == [f"{section}.{key}"]
    assert reload(path, load(path)).is_accepted


def test_two_parameters_of_settings_are_taken_at_once_and_the_rest_of_their_settings_waits(site):
    before = "sip: {timers: {t1: 0.4}}\nparameters: {SS_SIP_RESEND_INTERVAL: '0.5,1'}\n"
    running = site.load(before)
    after = before.replace("0.5,1'", "0.5,1,2', SERVER_CDR_FILE_WRITE_MAX: 10")
    outcome = reload(site.write("vosd.yaml", after), running)
    assert outcome.problems == ()
    settings = outcome.in_force.settings
    assert (settings.sip.timers.resend_ms, settings.sip.timers.give_up_ms) == ((500, 1_000, 2_000), 3_500)
    assert settings.journal.keep_files == 10
    outcome = reload(site.write("vosd.yaml", after.replace("t1: 0.4", "t1: 0.3")), running)
    assert [problem.key for problem in outcome.problems] == ["sip"]
    timers = outcome.in_force.settings.sip.timers
    assert (timers.t1_ms, timers.resend_ms) == (400, (500, 1_000, 2_000))
    again = reload(site.write("vosd.yaml", after), outcome.in_force)
    assert again.problems == ()


def test_every_setting_either_waits_for_a_restart_or_is_taken_at_once():
    taken_at_once = {
        "shutdown_grace_s",
        "on_sigterm",
        "resume_within_s",
        "start_without_s",
        "start_without_age_s",
        "log_level",
        "journal",
        "keep_alive",
        "overload",
        "country_file",
        "phone_service",
        "lookups",
        "api",
        "identity_provider",
        "metrics",
        "alarms",
        "call_reports",
        "hep",
        "webhooks",
        "radius",
        "accounting",
        "retention",
        "nightly",
        "bilateral",
        "invoices",
        "replica",
        "report_statement_s",
        "reports",
    }

    assert {field.name for field in fields(Settings)} == RESTART_KEYS.keys() | taken_at_once


MANY = """\
rate_groups:
  - {name: sell, rates: [RATES]}
accounts:
ACCOUNTS
mapping_gateways:
GATEWAYS
"""


def installation(site, *, accounts=10, gateways=10, rates=10):
    """Write a file with so many objects of each kind."""
    written = {
        "RATES": ", ".join(f'{{prefix: "{44 + each}", billing_rate: "1"}}' for each in range(rates)),
        "ACCOUNTS": "\n".join(f"  - {{id: a{each}, rate_group: sell}}" for each in range(accounts)),
        "GATEWAYS": "\n".join(f"  - {{name: g{each}, account: a0, hosts: 192.0.2.{each}}}" for each in range(gateways)),
    }
    text = MANY
    for word, lines in written.items():
        text = text.replace(word, lines)
    return site.write("vosd.yaml", text)


def objections_to(site, busy=IDLE, **fewer):
    """Return what there is to say against a reload that leaves less than ten of something."""
    running = load(installation(site))
    outcome = reload(installation(site, **fewer), running)
    assert outcome.is_accepted
    return list(objections(outcome.lost, busy))


def test_a_reload_that_takes_away_less_than_a_fifth_needs_no_confirmation(site):
    assert objections_to(site, accounts=9, gateways=9, rates=9) == []


def test_a_reload_that_takes_away_a_fifth_of_one_kind_needs_confirmation(site):
    assert objections_to(site, gateways=8) == ["the file removes 2 of 10 mapping gateways: g8, g9"]
    assert objections_to(site, accounts=8) == ["the file removes 2 of 10 accounts: a8, a9"]
    assert objections_to(site, rates=8) == ["the file removes 2 of 10 rates of rate group 'sell': 52, 53"]


def test_one_of_a_few_is_taken_away_without_confirmation_but_not_the_only_one(site):
    vendors = (
        "  - {name: v1, account: carrier, address: 192.0.2.9}\n  - {name: v2, account: carrier, address: 192.0.2.8}\n"
    )
    plan = "routing_plans: [{name: wholesale}]\n"
    running = site.load(plan + site.minimal + vendors)
    outcome = reload(site.write("vosd.yaml", plan + site.minimal + vendors.splitlines(keepends=True)[0]), running)
    assert list(map(str, outcome.lost)) == ["1 of 3 routing gateways: v2"]
    assert list(objections(outcome.lost, IDLE)) == []
    outcome = reload(site.write("vosd.yaml", site.minimal + vendors), running)
    assert list(objections(outcome.lost, IDLE)) == ["the file removes 1 of 1 routing plans: wholesale"]


def test_a_long_list_of_what_is_taken_away_is_cut(site):
    assert objections_to(site, gateways=1) == [
        "the file removes 9 of 10 mapping gateways: g1, g2, g3, g4, g5 and 4 more"
    ]


def test_a_reload_that_takes_away_what_calls_use_needs_confirmation(site):
    assert objections_to(site, Busy({"a9", "a1"}, {"g9", "g1"}), accounts=9, gateways=9) == [
        "the file removes accounts that running calls use: a9",
        "the file removes mapping gateways that running calls use: g9",
    ]


def test_lists_of_numbers_that_shrink_or_vanish_need_confirmation(site):
    def reloaded(name: str, count: int):
        lists = f"number_lists: [{{name: {name}, patterns: [{', '.join(map(str, range(count)))}]}}]\n"
        pools = "number_pools: [{name: berlin, numbers: [1]}]\n" if count > 5 else ""
        return site.write("vosd.yaml", lists + pools + site.minimal)

    running = load(reloaded("bad", 10))
    assert reload(reloaded("bad", 11), running).lost == ()
    assert list(objections(reload(reloaded("bad", 8), running).lost, IDLE)) == [
        "the file removes 2 of 10 numbers of number list 'bad'"
    ]
    assert list(objections(reload(reloaded("good", 5), running).lost, IDLE)) == [
        "the file removes 1 of 1 number lists: bad",
        "the file removes 1 of 1 number pools: berlin",
    ]


def test_phones_and_vendors_that_are_taken_away_count_each_among_their_own(site):
    more = "phones: [{number: '1', account: acme, password: x}, {number: '2', account: acme, password: x}]\n"
    vendors = "".join(f"  - {{name: v{each}, account: carrier, address: 192.0.2.9}}\n" for each in range(9))
    running = site.load(site.minimal + vendors + more)
    outcome = reload(site.write("vosd.yaml", site.minimal + vendors), running)

    assert list(map(str, outcome.lost)) == ["2 of 2 phones: 1, 2"]
    assert list(objections(outcome.lost, Busy(set(), {"2"}))) == [
        "the file removes phones that running calls use: 2",
        "the file removes 2 of 2 phones: 1, 2",
    ]
    outcome = reload(site.write("vosd.yaml", site.minimal + more), running)
    assert list(map(str, outcome.lost)) == ["9 of 10 routing gateways: v0, v1, v2, v3, v4 and 4 more"]


def test_what_orders_have_ended_is_taken_with_a_change_of_others_and_what_files_lack_is_not():
    busy = Busy({"shop", "a1"}, {"pbx", "trunk"})
    ended = Loss("mapping gateways", ("pbx",), 1, 9, ended=frozenset({"pbx"}))
    mixed = Loss("accounts", ("a1", "shop"), 2, 9, ended=frozenset({"shop"}))
    assert len(objections((ended, mixed), busy)) == 2
    assert list(objections(settled((ended, mixed)), busy)) == ["the file removes accounts that running calls use: a1"]


@pytest.mark.parametrize(("left", "said"), [(9, []), (8, ["the file removes 2 of 10 dids: 44200008, 44200009"])])
def test_a_shorter_file_of_numbers_given_to_customers_needs_confirmation(site, left, said):
    """Calls to the rest would be refused as not found."""
    head = "accounts: [{id: a}, {id: v, type: clearing}]\n"
    head += "routing_gateways: [{name: g, account: v, address: 192.0.2.9, allow_unrated: yes}]\ndids:\n"
    numbers = [f"  - {{number: '4420000{each}', account: a, trunk: g}}\n" for each in range(10)]
    running = site.load(head + "".join(numbers))
    outcome = reload(site.write("vosd.yaml", head + "".join(numbers[:left])), running)
    assert list(objections(outcome.lost, IDLE)) == said
