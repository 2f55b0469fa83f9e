"""A start with files of ``api.tls`` that do not belong together: calls are taken, the API waits."""

from pathlib import Path

import pytest
from doubles.certificates import Authority, Certificate
from structlog.testing import capture_logs

from vosd.catalogue.problems import ConfigError
from vosd.config.reload import reload
from vosd.config.stored import nothing_stored
from vosd.daemon.start import load_at_start

SITE = """\
rate_groups: [{{name: sell, {rates}}}]
accounts: [{{id: acme, rate_group: sell}}]
api:
  listen: '127.0.0.1:8080'
  tls: {{certificate: {shown.file}, key: {shown.key}}}
"""


def half_renewed(directory: Path) -> Certificate:
    """Return the files of the API after a renewal that has written the certificate only."""
    authority = Authority(directory)
    shown, renewed = authority.issue("api", "api.example"), authority.issue("renewed", "api.example")
    shown.file.write_text(renewed.file.read_text())
    renewed.key.rename(directory / "next.key")
    return shown


def test_a_start_between_the_renewal_of_both_files_takes_calls_and_says_so(tmp_path: Path) -> None:
    shown, file = half_renewed(tmp_path), tmp_path / "vosd.yaml"
    file.write_text(SITE.format(rates="rates: [{prefix: 44, billing_rate: 1}]", shown=shown))
    with capture_logs() as log:
        started = load_at_start(file, nothing_stored)
    (alarm,) = [each for each in log if each["log_level"] == "error"]
    assert alarm["event"] == "api_certificate_refused"
    fault = (
        f"{file}:5: api.tls.key: value '{shown.key}': expected the key of the certificate, in PEM form, not encrypted"
    )
    assert (alarm["why"], started.fault) == (fault, fault)
    assert "acme" in started.loaded.catalogue.accounts
    assert started.loaded.settings.api is not None, "its process is started again until the files belong together"

    again = reload(file, started.loaded, remembered=started.remembered)
    assert (again.is_accepted, [str(each) for each in again.problems]) == (False, [fault])
    (tmp_path / "next.key").rename(shown.key)
    again = reload(file, started.loaded, remembered=started.remembered)
    assert (again.is_accepted, again.problems) == (True, ())
    assert again.in_force.settings.api != started.loaded.settings.api, "the API is started at once"


def test_other_mistakes_of_the_files_end_a_start_and_are_listed_with_it(tmp_path: Path) -> None:
    shown, file = half_renewed(tmp_path), tmp_path / "vosd.yaml"
    file.write_text(SITE.format(rates="rates: [{prefix: 44, billing_rate: dear}]", shown=shown))
    with pytest.raises(ConfigError) as refused:
        load_at_start(file, nothing_stored)
    assert [each.key for each in refused.value.problems][-1] == "api.tls.key"
