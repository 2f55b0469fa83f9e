"""Secrets of alarms and of reports of calls that stand in files of their own."""

import pytest

from vosd.base.secret import Secret
from vosd.config.reload import reload
from vosd.engine.settings import CallReportSettings, CallReportState

SECRET = "correct horse"
MAIL = "server: 192.0.2.3, sender: vosd@example.com, recipients: noc@example.com, username: vosd"

PLACES = {
    "webhook": ('alarms: {webhook: {url: "http://192.0.2.3/", %s}}', "secret"),
    "mail": (f"alarms: {{mail: {{{MAIL}, %s}}}}", "password"),
    "reports": ('call_reports: {url: "http://192.0.2.3/", %s}', "secret"),
}
every_place = pytest.mark.parametrize(("around", "name"), PLACES.values(), ids=PLACES)


def found_in(settings, around):
    if around.startswith("call_reports"):
        return settings.call_reports.secret
    return settings.alarms.mail.password if "mail" in around else settings.alarms.webhook.secret


@every_place
def test_a_secret_is_read_from_a_file_and_again_by_each_reload(site, around, name):
    site.write("keys/one", f"{SECRET}\n").chmod(0o640)
    running = site.load(around % f"{name}_file: keys/one")
    assert running.problems == ()
    assert found_in(running.settings, around) == Secret(SECRET)
    site.write("keys/one", "another\n")
    assert found_in(reload(site.directory / "vosd.yaml", running).in_force.settings, around) == Secret("another")


@every_place
def test_a_file_is_relative_to_the_one_that_names_it(site, around, name):
    site.write("parts/key", SECRET).chmod(0o600)
    site.write("parts/more.yaml", around % f"{name}_file: key")
    assert found_in(site.load("include: parts/more.yaml\n").settings, around) == Secret(SECRET)


@every_place
def test_a_file_that_is_missing_empty_or_open_to_everyone_is_named(site, around, name):
    text = around % f"{name}_file: key"
    (missing,) = site.errors(text)
    assert missing.startswith("vosd.yaml:1: ")
    assert f"{name}_file: expected a readable file: no such file or directory" in missing
    for content in ("\n", f"{SECRET}\nand more\n"):
        site.write("key", content).chmod(0o600)
        (wrong,) = site.errors(text)
        assert wrong.endswith(f"{name}_file: expected one line with the password or secret in the file")
        assert SECRET not in wrong
    site.write("key", SECRET).chmod(0o644)
    (warning,) = site.warnings(text)
    assert "a file that others cannot read: chmod o-r" in warning
    assert SECRET not in warning


@every_place
def test_a_secret_stands_in_one_place_only(site, around, name):
    site.write("key", SECRET).chmod(0o600)
    (mistake,) = site.errors(around % f"{name}_file: key, {name}: {SECRET}")
    assert mistake.endswith(f".{name}: expected either {name} or {name}_file")


def test_a_mail_server_wants_user_name_and_password_or_neither(site):
    expected = "alarms.mail.password: expected username and password, or neither"
    (mistake,) = site.errors(f"alarms: {{mail: {{{MAIL}}}}}")
    assert mistake.endswith(expected)
    site.write("key", SECRET).chmod(0o600)
    (mistake,) = site.errors(f"alarms: {{mail: {{{MAIL.rpartition(',')[0]}, password_file: key}}}}")
    assert mistake.endswith(expected)


def test_a_login_at_a_mail_server_is_ascii(site):
    site.write("key", "gr\u00fcn").chmod(0o600)
    for text, key in (
        (f"{MAIL}, password: gr\u00fcn", "password"),
        (f"{MAIL}, password_file: key", "password_file"),
        (f"{MAIL}\u00fc, password: green", "username"),
    ):
        (mistake,) = site.errors(f"alarms: {{mail: {{{text}}}}}")
        assert f"alarms.mail.{key}: expected ASCII characters only" in mistake
        assert "gr\u00fcn" not in mistake


# -- call_reports -------------------------------------------------------------------------------------------------


def test_nothing_is_reported_unless_a_server_is_named(site):
    assert site.load(site.minimal).settings.call_reports is None
    (mistake,) = site.errors("call_reports: {retry: no}")
    assert mistake.endswith("call_reports.url: expected where reports are sent")


def test_the_values_of_the_file_are_those_of_the_settings(site):
    loaded = site.load(
        'call_reports: {url: "https://crm.example.com:8443/calls?x=1", states: [ended, answered], retry: no,'
        " retry_interval: 2.5, max_age: 60, queue: 500, connections: 2}\n"
    )
    assert loaded.settings.call_reports == CallReportSettings(
        "https://crm.example.com:8443/calls?x=1",
        None,
        (CallReportState.ENDED, CallReportState.ANSWERED),
        retry=False,
        retry_interval_ms=2_500,
        max_age_s=60,
        queue=500,
        connections=2,
    )
    assert site.load('call_reports: {url: "http://h/", states: ended}').settings.call_reports == CallReportSettings(
        "http://h/", states=(CallReportState.ENDED,)
    )


@pytest.mark.parametrize(
    ("keys", "mistake"),
    [
        ("states: held", "call_reports.states[0]: expected one of trying, ringing, answered, ended"),
        ("states: []", "call_reports.states: expected each state once, and at least one"),
        ("states: [ended, ended]", "call_reports.states: expected each state once, and at least one"),
        ("retry_interval: 0", "call_reports.retry_interval: expected seconds from 0.1 to 3600"),
        ("max_age: 0", "call_reports.max_age: expected a whole number of seconds from 1 to 604800"),
        ("queue: 5", "call_reports.queue: expected a whole number from 100 to 1000000"),
        ("connections: 33", "call_reports.connections: expected a whole number from 1 to 32"),
    ],
)
def test_a_value_out_of_bounds_is_named_with_what_was_expected(site, keys, mistake):
    (said,) = site.errors(f'call_reports: {{url: "http://192.0.2.3/", {keys}}}')
    key, _, expected = mistake.partition(": ")
    assert said.startswith(f"vosd.yaml:1: {key}: ")
    assert f": {expected}" in said
