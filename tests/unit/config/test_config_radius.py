"""``radius``: what its keys make, and mistakes in them."""

import json
from dataclasses import replace
from typing import Any

import pytest

from vosd.catalogue.problems import ConfigError
from vosd.config.load import Loaded, load
from vosd.engine.settings import AccountedCalls
from vosd.radius.servers import DeathRules
from vosd.radius.settings import RadiusServer

SERVER = {"address": "192.0.2.3", "secret": "between us"}


def loaded(tmp_path, **keys: Any) -> Loaded:
    path = tmp_path / "vosd.yaml"
    path.write_text(json.dumps(keys))
    return load(path, {})


def test_servers_with_secrets_of_keys_and_of_files(tmp_path):
    (tmp_path / "secret").write_text("of a file\n")
    (tmp_path / "secret").chmod(0o600)
    other = {"address": "2001:db8::1", "secret_file": "secret", "auth_port": "1645", "accounting_port": "1646"}
    found = loaded(
        tmp_path,
        node="sw7",
        radius={
            "servers": [SERVER, other],
            "nas_address": "2001:db8::2",
            "dead_after": "3",
            "dead_time": "60",
            "accounting": {"calls": "all"},
        },
    ).settings
    assert found.radius is not None
    first, second = found.radius.servers
    assert (first.address, first.secret.reveal(), first.auth_port, first.accounting_port) == (
        "192.0.2.3", "between us", 1812, 1813,
    )  # fmt: skip
    assert second == RadiusServer("2001:db8::1", second.secret, 1645, 1646)
    assert second.secret.reveal() == "of a file"
    assert "between us" not in repr(found)
    assert (found.radius.nas_identifier, found.radius.nas_address) == ("sw7", "2001:db8::2")
    assert found.radius.rules == DeathRules(3, 60_000)
    assert found.accounting is not None
    assert found.accounting.calls is AccountedCalls.ALL
    assert (found.radius.timeout_ms, found.radius.tries) == (1_000, 2)
    patient = replace(found.radius, timeout_ms=5_000, tries=6)
    assert found.accounting.radius == patient, "half a minute, as RFC 5080 has it"


def test_without_it_nothing_is_asked_and_nothing_accounted(tmp_path):
    found = loaded(tmp_path, node="sw1").settings
    assert (found.radius, found.accounting) == (None, None)
    found = loaded(tmp_path, radius={"servers": [SERVER]}).settings
    assert found.accounting is None


@pytest.mark.parametrize("users", ["phones", "gateways", "all"])
def test_users_whose_passwords_others_judge_need_none_here(tmp_path, users):
    known = {
        "rate_groups": [{"name": "sell", "rates": [{"prefix": "44", "billing_rate": "0.6"}]}],
        "accounts": [{"id": "acme", "rate_group": "sell"}],
        "radius": {"servers": [SERVER], "authenticate": users},
    }
    phone = {"number": "1001", "account": "acme", **({} if users != "gateways" else {"password": "not a secret"})}
    auth = {"username": "pbx", **({} if users != "phones" else {"password": "not a secret"})}
    gateway = {"name": "pbx", "account": "acme", "auth": auth}
    catalogue = loaded(tmp_path, **known, phones=[phone], mapping_gateways=[gateway]).catalogue
    remote = {name: user.credentials.is_remote for name, user in catalogue.all_users() if user.credentials is not None}
    assert remote == {"1001": users != "gateways", "pbx": users != "phones"}
    known["radius"] = {"servers": [SERVER]}
    with pytest.raises(ConfigError, match="expected one of password, password_file and ha1_md5"):
        loaded(tmp_path, **known, phones=[phone], mapping_gateways=[gateway])


@pytest.mark.parametrize(
    ("mistaken", "said"),
    [
        ({"radius": {"servers": [{"address": "192.0.2.3"}], "authenticate": "phones"}}, "radius.servers[0].secret"),
        ({"radius": {"servers": [SERVER], "authenticate": "phone"}}, "radius.authenticate"),
        ({"radius": {"servers": [SERVER], "authenticate": ["all"]}}, "radius.authenticate"),
        ({"radius": [SERVER]}, "radius"),
        ({"radius": {"servers": [SERVER], "authenticate": "all"}, "limits": {"max_cps": "many"}}, "limits.max_cps"),
    ],
)
def test_a_mistake_of_the_installation_is_none_of_its_phones(tmp_path, mistaken, said):
    phones = [{"number": str(number), "account": "acme"} for number in range(1_001, 1_009)]
    known = {"accounts": [{"id": "acme"}], "phones": phones}
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, **known, **mistaken)
    assert [said in line for line in str(refused.value).splitlines() if ": warning" not in line] == [True]
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, **known, **mistaken | {"radius": {"servers": []}})
    assert str(refused.value).count(".password: expected one of") == len(phones)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"timeout": "1"}, "servers: expected at least one server"),
        ({"servers": [SERVER, SERVER]}, "servers: expected each server once"),
        ({"servers": [{"address": "192.0.2.3"}]}, r"servers\[0\].secret: expected either secret or secret_file"),
        ({"servers": [{**SERVER, "secret_file": "x"}]}, r"servers\[0\].secret: expected either"),
        ({"servers": [{**SERVER, "address": "192.0.2.3:1812"}]}, r"servers\[0\].address: .*an IP address or a name"),
        ({"servers": [SERVER], "nas_address": "radius.example"}, "nas_address: .*expected an IP address"),
        ({"servers": [SERVER], "authenticate": "everyone"}, "authenticate: .*expected one of off, phones"),
        ({"servers": [SERVER], "authenticate": "phones", "tries": "9"}, "deadline: expected more than tries times"),
        (
            {"servers": [SERVER], "authenticate": "phones", "tries": "2", "timeout": "1", "deadline": "2"},
            "deadline: .*expected more than tries times",
        ),
        ({"servers": [{"address": "192.0.2.3", "secret_file": "missing"}]}, "servers: .*missing"),
    ],
)
def test_mistakes_are_named(tmp_path, section, said):
    with pytest.raises(ConfigError, match=f"radius.{said}"):
        loaded(tmp_path, radius=section)
