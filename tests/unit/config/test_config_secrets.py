"""A password that stands where none belongs is in no message, whatever the mistake that brought it there."""

import json
import os
from unittest.mock import Mock

import pytest
from click.testing import CliRunner

from vosd.admin.differences import describe
from vosd.catalogue.problems import ConfigError
from vosd.cli.main import main
from vosd.config.load import load
from vosd.storage.database import Database

SECRET = "Geheim1234"
URL = f"mysql+aiomysql://vosd:{SECRET}@127.0.0.1:3306/vosd"

SECTIONS = {
    "auth of a customer": ("mapping_gateways: [{name: g, account: a, auth: %s}]", ("username", "password", "ha1_md5")),
    "auth of a vendor": (
        "routing_gateways: [{name: g, account: a, address: 192.0.2.9, auth: %s}]",
        ("username", "password", "password_file"),
    ),
    "register": (
        "routing_gateways: [{name: g, account: a, register: %s}]",
        ("server", "username", "password", "password_file"),
    ),
    "phone": ("phones: [%s]", ("username", "password", "password_file", "ha1_sha256")),
    "database": ("database: %s", ("url",)),
    "webhook of alarms": ("alarms: {webhook: %s}", ("secret", "secret_file")),
    "mail of alarms": ("alarms: {mail: %s}", ("password", "password_file")),
    "reports of calls": ("call_reports: %s", ("secret", "secret_file")),
    "tls": ("sip: {tls: %s}", ("private_key",)),
}

IN_A_SECTION = [
    SECRET,
    f"[{SECRET}]",
    f"[{{{SECRET}: x}}]",
    f"{{{SECRET}}}",
    f"{{password {SECRET}}}",
    f"{{username: u, password:{SECRET}}}",
    f"{{password={SECRET}}}",
    f"{{passwrd: {SECRET}}}",
    f"{{passwrd: [{SECRET}]}}",
    f"{{passwrd: {{a: {SECRET}}}}}",
    f"{{username: u, passwrd: {SECRET}}}",
    f"{{username: u, secret_word: {SECRET}, password: x}}",
    f"{{password: [{SECRET}]}}",
    f"{{password: {{a: {SECRET}}}}}",
    f"{{password: {SECRET}, password: {SECRET}}}",
    f"{{password: !{SECRET}}}",
    f"{{password: *{SECRET}}}",
    f"{{password: '{SECRET}\\n', username: u}}",
    f'{{password: "{SECRET}${{"}}',
    f'{{passwrd: "{SECRET}${{"}}',
    f'{{passwrd: "{SECRET}${{not a name}}"}}',
    f"{{username: u, password: {SECRET}, password_file: x, ha1_md5: {SECRET}}}",
    f"{{ha1_md5: {SECRET}, username: u}}",
    f"{{password_file: {SECRET}, username: u}}",
    f"{{passwd_file: {SECRET}}}",
]

ANYWHERE = [
    f"database: {URL}",
    f"database: {{ulr: '{URL}'}}",
    f"database_url: {URL}",
    f"database: {{url: 'mysql://vosd:{SECRET}@host/vosd'}}",
    f"database: {{url: 'mysql+aiomysql://vosd:ge@{SECRET}@host/vosd'}}",
    f"database: {{url: 'mysql+aiomysql://vosd:ge@x/{SECRET}@host/vosd'}}",
    f"database: {{url: ['{URL}']}}",
    f"passwrd: {SECRET}",
    f"sip: {{passwrd: {SECRET}, tls: {SECRET}}}",
    f"accounts: {SECRET}",
    f"accounts: [{SECRET}]",
    f"templates: {SECRET}",
    f"templates: {{wholesale: {SECRET}}}",
    f"templates: {{wholesale: {{passwrd: {SECRET}}}}}",
    f"parameters: {SECRET}",
    f"parameters: {{SS_PASSWRD: {SECRET}}}",
    f"rate_groups: [{{name: r, rates_file: secrets/acme, passwrd: {SECRET}}}]",
    "rate_groups: [{name: r, rates_file: secrets/acme}]",
    f"routing_gateways: [{{name: r, account: a, address: 'sip:u:{SECRET}@host'}}]",
    "include: secrets/acme",
    "include: again.yaml\ndatabase: x\npasswrd: y\nmapping_gateways: x",
    f'sip: {{tls: {{certificate: "-----BEGIN PRIVATE KEY-----\\n{SECRET}\\n"}}}}',
    SECRET,
    f"- {SECRET}",
    f"'{SECRET}': [",
    f"mapping_gateways:\n  - name: g\n    auth:\n      username: acme\n      password {SECRET}\n",
    f"mapping_gateways:\n  - name: g\n    auth:\n      username: acme\n      password: '{SECRET}\n",
]


WRONG_PLACES = {
    **{
        name: [
            *(around % inside for inside in IN_A_SECTION),
            *(around % f"{{{key[:-1]}: {SECRET}}}" for key in keys),
            *(around % f"{{{key}s: {SECRET}}}" for key in keys),
        ]
        for name, (around, keys) in SECTIONS.items()
    },
    "anywhere": ANYWHERE,
}


@pytest.mark.parametrize("place", WRONG_PLACES)
def test_a_password_in_a_wrong_place_is_in_no_message(site, place, monkeypatch):
    site.write("secrets/acme", f"{SECRET}\n")
    site.write("again.yaml", f"database: {URL}\npasswrd: {SECRET}\nmapping_gateways: {SECRET}\n")
    for text in WRONG_PLACES[place]:
        path = site.write("vosd.yaml", f"{text}\n")
        caught = mistakes_in(path)
        assert caught is not None, text
        monkeypatch.setattr("vosd.config.load.load", Mock(side_effect=caught))  # the verbs need not read it again
        shown = CliRunner().invoke(main, ["check", "-c", str(path)])
        documents = [CliRunner().invoke(main, [verb, "--json", "-c", str(path)]) for verb in ("check", "reload")]

        assert caught.problems, text
        assert shown.exit_code == 3, text
        for said in (str(caught), repr(caught.problems), shown.output, *(each.output for each in documents)):
            assert SECRET not in said, text
            assert SECRET[:6] not in said, text


def mistakes_in(path):
    """Return the error with which a file is refused, None where it is not."""
    try:
        load(path, {})
    except ConfigError as error:
        return error
    return None


def test_what_a_sound_file_hides_stays_hidden_in_what_is_told_of_it(site):
    loaded = site.load(
        site.minimal.replace("hosts: 192.0.2.1", f"auth: {{username: u, password: {SECRET}}}").replace(
            "address: 192.0.2.9",
            f"address: 192.0.2.9, auth: {{username: v, password: {SECRET}}},"
            f" register: {{server: 192.0.2.9, password: {SECRET}}}",
        )
        + f"phones: [{{number: '1', account: acme, password: {SECRET}}}]\ndatabase: {{url: '{URL}'}}\n"
    )

    assert SECRET not in json.dumps(describe(loaded.settings, loaded.transports, loaded.catalogue))
    assert SECRET not in repr(loaded)


def test_a_password_among_the_options_of_the_database_is_not_shown():
    assert SECRET not in Database(f"mysql+aiomysql://vosd@127.0.0.1/vosd?password={SECRET}").place


def test_a_variable_that_is_not_set_is_named_and_its_surroundings_are_not(site):
    path = site.write("vosd.yaml", f"database: {{url: 'mysql+aiomysql://{SECRET}:${{NOT_SET}}@host/vosd'}}\n")
    with pytest.raises(ConfigError) as caught:
        load(path, {name: value for name, value in os.environ.items() if name != "NOT_SET"})
    assert "the environment variable NOT_SET to be set" in str(caught.value)
    assert SECRET not in str(caught.value)
