"""Accounts and trunks with few keys are made of what all have in common: the same as those made key by key."""

from collections.abc import Mapping
from typing import Any

import pytest

from vosd.catalogue.parameters import CallParameters
from vosd.catalogue.problems import ProblemList, SourceLine
from vosd.config.assembly import accounts, callers
from vosd.config.assembly.inventory import Written
from vosd.config.keys.accounts import AccountKeys
from vosd.config.keys.parameters import ParameterKeys
from vosd.config.keys.stir import StirKeys
from vosd.config.keys.trunks import MappingGatewayKeys
from vosd.config.reader.document import Section

ACCOUNTS: list[dict[str, Any]] = [
    {"id": "s1", "type": "direct", "rate_group": "sell", "max_concurrent": "2"},
    {"id": "s2"},
    {"id": "s3", "overdraft_limit": "12.50", "countries": "de", "fee_unit": "0.01", "fee_precision": "2"},
    {"id": "s4", "currency": "EUR", "rights": ["accounts"], "timezone": "Europe/Berlin"},
    {"id": "s5", "rate_group": "sell"},
]
TRUNKS: list[dict[str, Any]] = [
    {"name": "u1", "account": "s1", "hosts": "12.0.0.1/32", "max_cps": "2", "tech_prefix": "77"},
    {"name": "u2", "account": "s2", "hosts": ["12.0.0.2/32", "sip.example.net", "12.0.0.3:5070"]},
    {"name": "u3", "account": "s3", "hosts": "sip.example.net", "groups": ["one", "other"]},
    {"name": "u4", "account": "s4", "auth": {"username": "ann", "password": "a password of many"}},
    {"name": "u5", "account": "s5", "hosts": "12.0.0.5/32"},
]


def test_accounts_are_those_made_key_by_key() -> None:
    parameters = ParameterKeys()
    made = accounts.Accounts(parameters)
    for values in ACCOUNTS:
        keys = AccountKeys.model_validate(values)
        assert made.account(keys) == accounts._ACCOUNT(keys, **made._by_hand(keys))


def test_trunks_are_those_made_key_by_key() -> None:
    made = callers.MappingGateways(ParameterKeys(), CallParameters(), StirKeys(), ProblemList())
    for values in TRUNKS:
        written = trunk(values)
        keys = written.thing
        whole = callers._GATEWAY(keys, **callers._own_parts(keys), **made._parts(written))
        assert made.gateway(written) == whole


@pytest.mark.parametrize("values", TRUNKS)
def test_addresses_and_names_of_a_trunk_stand_apart(values: Mapping[str, Any]) -> None:
    made = callers.MappingGateways(ParameterKeys(), CallParameters(), StirKeys(), ProblemList()).gateway(trunk(values))
    hosts = values.get("hosts", [])
    hosts = [hosts] if isinstance(hosts, str) else hosts
    assert [each.name for each in made.named_hosts] == [each for each in hosts if each.startswith("sip.")]
    assert len(made.hosts) == sum(not each.startswith("sip.") for each in hosts)


def trunk(values: Mapping[str, Any]) -> Written[MappingGatewayKeys]:
    section = Section(SourceLine("vosd.yaml", 1))
    return Written(MappingGatewayKeys.model_validate(values), section, f"mapping_gateways[{values['name']}]")
