"""``api``: where the management API listens, and that it is protected there."""

import pytest

from vosd.base.secret import Secret
from vosd.engine.settings import ApiSettings, HttpListener


def test_the_api_listens_where_the_file_says(site):
    text = f"{site.minimal}\napi: {{listen: '192.0.2.1:8080', tls: {{certificate: a.pem, key: b.pem}}}}\n"
    assert site.load(text).settings.api == ApiSettings(HttpListener("192.0.2.1", 8080), "a.pem", "b.pem")
    assert site.load(site.minimal).settings.api is None


def test_requests_a_second_of_a_token_and_of_an_address_are_bounded(site):
    api = site.load(
        f"{site.minimal}\napi: {{listen: '127.0.0.1:8080', token_rate: 7, address_rate: 0, statement_seconds: 0,"
        " console: no}\n"
    ).settings.api
    assert (api.token_rate, api.address_rate, api.statement_seconds, api.console) == (7, 0, None, False)
    api = site.load(f"{site.minimal}\napi: {{listen: '127.0.0.1:8080'}}\n").settings.api
    assert (api.token_rate, api.address_rate, api.statement_seconds, api.console) == (500, 1_000, 20, True)


def test_the_api_knows_of_a_copy_of_the_database(site):
    url = "mysql+aiomysql://reader@192.0.2.1/vosd"
    text = f"{site.minimal}\napi: {{listen: '127.0.0.1:8080'}}\ndatabase: {{replica: '{url}'}}\n"
    assert site.load(text).settings.api == ApiSettings(HttpListener("127.0.0.1", 8080), replica=Secret(url))
    assert "database.replica" in "\n".join(site.errors(text.replace("mysql+aiomysql", "mysql")))


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("{listen: '192.0.2.1:8080'}", "api.tls: expected a certificate"),
        ("{listen: '127.0.0.1:8080', tls: {certificate: a.pem}}", "api.tls.key: expected the key of the certificate"),
        ("{listen: '127.0.0.1:8080', tls: {key: a.pem}}", "api.tls.certificate: expected the certificate"),
        ("{trusted_proxies: [192.0.2.1]}", "api.listen: expected an address and a port"),
        ("{listen: '127.0.0.1:8080', console: perhaps}", "api.console: value 'perhaps': expected yes or no"),
    ],
)
def test_an_api_that_others_could_listen_to_is_refused(site, keys, expected):
    assert expected in "\n".join(site.errors(f"{site.minimal}\napi: {keys}\n"))
