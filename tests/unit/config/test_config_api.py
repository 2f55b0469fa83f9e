"""``api``: where the management API listens, and that it is protected there."""

import pytest
from doubles.certificates import Authority

from vosd.base.secret import Secret
from vosd.catalogue.problems import ConfigError
from vosd.config.keys.api import contrast_with_white
from vosd.engine.settings import ApiSettings, BrandSettings, HttpListener


def test_a_port_alone_is_answered_with_an_example_that_is_the_usual_port(site):
    for key, port in (("api", 8080), ("metrics", 9464)):
        (mistake,) = site.errors(f"{site.minimal}\n{key}: {{listen: '8080'}}\n")
        assert mistake.endswith(f"expected address:port, such as 127.0.0.1:{port} or [::1]:{port}")


def test_the_api_listens_where_the_file_says(site):
    text = f"{site.minimal}\napi: {{listen: '192.0.2.1:8080', trusted_proxies: 192.0.2.7}}\n"
    assert site.load(text).settings.api == ApiSettings(
        HttpListener("192.0.2.1", 8080), trusted_proxies=("192.0.2.7/32",)
    )
    assert site.load(site.minimal).settings.api is None


def test_a_new_certificate_makes_other_settings_and_one_that_ends_is_a_warning(site, tmp_path):
    authority = Authority(tmp_path)
    shown = authority.issue("api", "api.example", days=2)
    tls = f"tls: {{certificate: {shown.file}, key: {shown.key}}}"
    text = f"{site.minimal}\napi: {{listen: '127.0.0.1:8080', {tls}}}\n"
    (warning,) = site.warnings(text)
    assert warning.endswith("api.tls.certificate: expected certificates that last: one of api.pem has 1 days left")
    before = site.load(text).settings.api
    authority.issue("api", "api.example")
    assert site.warnings(text) == []
    after = site.load(text)
    assert after.settings.api != before
    assert after.certificate_ends == {str(shown.file): after.settings.api.certificate_ends_ms}


def test_a_certificate_of_the_api_without_its_key_is_a_mistake_of_the_api_alone(site, tmp_path):
    authority = Authority(tmp_path)
    shown, renewed = authority.issue("api", "api.example"), authority.issue("renewed", "api.example", days=60)
    text = f"{site.minimal}\napi:\n  listen: '127.0.0.1:8080'\n  tls: {{certificate: {shown.file}, key: {shown.key}}}\n"
    certificate = "api.tls.certificate: value 'api.pem': expected"
    for content, mistake in (
        (renewed.file.read_text(), "api.tls.key: value 'api.key': expected the key of the certificate, in PEM form"),
        ("", f"{certificate} certificates in PEM form"),
        (None, f"{certificate} a file that can be read"),
    ):
        if content is None:
            shown.file.unlink()
        else:
            shown.file.write_text(content)
        loaded = site.load(text)
        (error,) = loaded.api_problems
        assert mistake in site.shown(str(error))
        with pytest.raises(ConfigError, match=error.key):
            loaded.require_api()
    shown.file.write_text(renewed.file.read_text())
    shown.key.write_text(renewed.key.read_text())
    assert site.load(text).settings.api.certificate == str(shown.file)


def test_the_certificate_of_the_api_is_beside_the_file_that_names_it(site, tmp_path, monkeypatch):
    (elsewhere := tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(elsewhere)
    (site.directory / "parts" / "tls").mkdir(parents=True)
    shown = Authority(site.directory / "parts" / "tls").issue("api", "api.example")
    site.write("parts/api.yaml", "api: {listen: '192.0.2.1:8080', tls: {certificate: tls/api.pem, key: tls/api.key}}")
    loaded = site.load(f"{site.minimal}\ninclude: parts/api.yaml\n")
    api = loaded.settings.api
    assert (api.certificate, api.key) == (str(shown.file), str(shown.key))
    assert (loaded.api_problems, list(loaded.certificate_ends)) == ((), [str(shown.file)])


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


def test_the_console_has_the_name_and_looks_of_the_operator(site):
    site.write("logo.png", "png")
    looks = "{name: Example, colour: '#0B7285', logo_file: logo.png, pay_in: [IBAN 1]}"
    text = f"{site.minimal}\napi: {{listen: '127.0.0.1:8080', brand: {looks}}}\n"
    logo = str(site.directory / "logo.png")
    assert site.load(text).settings.api.brand == BrandSettings("Example", "#0b7285", logo, ("IBAN 1",))
    assert site.load(f"{site.minimal}\napi: {{listen: '127.0.0.1:8080'}}\n").settings.api.brand == BrandSettings()


@pytest.mark.parametrize(
    ("colour", "contrast"), [("#ffffff", 1.0), ("#000000", 21.0), ("#767676", 4.54), ("#1864ab", 6.09)]
)
def test_the_contrast_is_that_of_wcag(colour, contrast):
    assert contrast_with_white(colour) == pytest.approx(contrast, abs=0.1)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("{listen: '192.0.2.1:8080'}", "api.tls: expected a certificate"),
        ("{listen: '127.0.0.1:8080', tls: {certificate: a.pem}}", "api.tls.key: expected the key of the certificate"),
        ("{listen: '127.0.0.1:8080', tls: {key: a.pem}}", "api.tls.certificate: expected the certificate"),
        ("{trusted_proxies: [192.0.2.1]}", "api.listen: expected an address and a port"),
        (
            "{listen: '127.0.0.1:8080', brand: {colour: '#4dabf7'}}",
            "api.brand.colour: value '#4dabf7': expected a darker",
        ),
        ("{listen: '127.0.0.1:8080', brand: {colour: blue}}", "expected a colour such as #1864ab"),
        ("{listen: '127.0.0.1:8080', brand: {logo_file: none.png}}", "api.brand.logo_file"),
        ("{listen: '127.0.0.1:8080', brand: {logo_file: vosd.yaml}}", "a file whose name ends in .png"),
        ("{listen: '127.0.0.1:8080', console: perhaps}", "api.console: value 'perhaps': expected yes or no"),
    ],
)
def test_an_api_that_others_could_listen_to_is_refused(site, keys, expected):
    assert expected in "\n".join(site.errors(f"{site.minimal}\napi: {keys}\n"))


def test_a_socket_for_two_purposes_is_refused_with_both_keys(site):
    def errors(listen, metrics, api):
        return site.errors(f"sip: {{listen: [{listen}]}}\nmetrics: {{listen: '{metrics}'}}\napi: {{listen: '{api}'}}\n")

    taken = "expected another port or address: {} at vosd.yaml:{} has this one, too"
    assert errors("'udp:127.0.0.1:8080', 'tcp:127.0.0.1:8081'", "127.0.0.1:8080", "127.0.0.1:8080") == [
        f"vosd.yaml:3: api.listen: value '127.0.0.1:8080': {taken.format('metrics.listen', 2)}"
    ]
    assert errors("'tcp:[::]:8080', 'tcp:0.0.0.0:8081'", "[::1]:8080", "127.0.0.1:8081") == [
        f"vosd.yaml:2: metrics.listen: value '[::1]:8080': {taken.format('sip.listen', 1)}",
        f"vosd.yaml:3: api.listen: value '127.0.0.1:8081': {taken.format('sip.listen', 1)}",
    ]
    site.load(
        "sip: {listen: ['udp:127.0.0.1:8080', 'tcp:127.0.0.2:8080']}\nmetrics: {listen: '[::1]:8080'}\n"
        "api: {listen: '127.0.0.1:8080'}\n"
    )
