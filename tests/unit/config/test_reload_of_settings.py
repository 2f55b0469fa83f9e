"""Other settings: accounts and gateways are read again only where they depend on them."""

from pathlib import Path

import pytest

from vosd.catalogue.problems import ConfigError
from vosd.config.assembly.remembered import Remembered
from vosd.config.load import Loaded, load

TEXT = """\
rate_groups:
  - {name: sell, rates: [{prefix: "44", billing_rate: "0.012"}]}
accounts:
  - {id: plain, rate_group: sell}
mapping_gateways:
  - {name: t1, account: plain, hosts: 192.0.2.1, auth: {username: u, password: x}}
routing_gateways:
  - {name: v1, account: plain, address: 198.51.100.1}
phones:
  - {number: "1001", account: plain, password: x}
"""
ASIDE = (
    "limits: {max_call_seconds: 7201}\n",
    "billing: {free_time_scope: customer}\n",
    "database: {away_cap: 5}\n",
    "dynamic_blacklist: {concurrent_limit: 3}\n",
    "log: {level: debug}\n",
    "metrics: {listen: '127.0.0.1:9464'}\n",
    "offline_gateway: v1\n",
    "redirect_server: {address: 198.51.100.9}\n",
)
DECISIVE = (
    "parameters: {SS_GATEWAY_SWITCH_UNTIL_CONNECT: 1}\n",
    "preset: vos3000\n",
    "radius: {servers: [{address: 198.51.100.8, secret: abcdefghijklmnop}], authenticate: all}\n",
    "routing: {loss_guard: off}\n",
    "sip: {realm: example.net}\n",
    "templates: {big: {max_cps: 3}}\n",
)
FIELDS = ("version", "accounts", "mapping_gateways", "routing_gateways", "phones", "users", "parameters")


def both(directory: Path, added: str) -> tuple[Loaded, Loaded, Loaded]:
    """Return what is loaded before, after that, and alone."""
    path, remembered = directory / "vosd.yaml", Remembered()
    path.write_text(TEXT)
    before = load(path, {}, remembered=remembered)
    path.write_text(TEXT + added)
    return before, load(path, {}, remembered=remembered), load(path, {})


@pytest.mark.parametrize("added", ASIDE)
def test_what_does_not_decide_about_an_item_leaves_all_as_they_were_read(tmp_path, added):
    before, after, alone = both(tmp_path, added)
    for kind in ("mapping_gateways", "routing_gateways"):
        for name, each in getattr(before.catalogue, kind).items():
            assert getattr(after.catalogue, kind)[name] is each
    for field in FIELDS:
        assert getattr(after.catalogue, field) == getattr(alone.catalogue, field)
    assert after.settings == alone.settings
    assert after.problems == alone.problems


@pytest.mark.parametrize("added", DECISIVE)
def test_what_may_decide_about_an_item_has_all_read_again(tmp_path, added):
    before, after, alone = both(tmp_path, added)
    assert after.catalogue.mapping_gateways["t1"] is not before.catalogue.mapping_gateways["t1"]
    for field in FIELDS:
        assert getattr(after.catalogue, field) == getattr(alone.catalogue, field)


def test_a_currency_that_accounts_have_cannot_be_taken_out(tmp_path):
    path, remembered = tmp_path / "vosd.yaml", Remembered()
    accounts = "accounts: [{id: points, currency: PTS}]\n"
    path.write_text(accounts + "currencies: [{code: PTS, fee_precision: 0}]\n")
    load(path, {}, remembered=remembered)
    path.write_text(accounts)
    with pytest.raises(ConfigError, match="value 'PTS': expected a code of ISO 4217"):
        load(path, {}, remembered=remembered)
