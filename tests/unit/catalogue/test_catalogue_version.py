"""The version of a catalogue: a change of any value of an account or a trunk changes it, and nothing else does."""

from copy import deepcopy

import msgspec
import pytest
from doubles.data.builders import account, applied_rate, mapping_gateway, rate_group
from doubles.data.sources import source

from vosd.billing.accounts import Account
from vosd.catalogue.assemble import assemble
from vosd.catalogue.problems import ProblemList
from vosd.trunks.dialect import CallerDialect
from vosd.trunks.gateways import MappingGateway

SELL, ACME = rate_group("sell", applied_rate("0.60")), account("acme")
DIALECT = CallerDialect()
PBX = mapping_gateway("pbx", "192.0.2.0/28", account="acme", dialect=DIALECT)
SHOP = mapping_gateway("shop", "2001:db8::/64", account="acme", dialect=DIALECT)


def version(*defined: Account | MappingGateway) -> str:
    problems = ProblemList()
    catalogue = assemble(source("files", SELL, *defined), problems)
    assert not problems.has_errors
    return catalogue.version


def test_a_dialect_in_common_and_an_equal_one_of_its_own_make_one_version():
    own = msgspec.structs.replace(SHOP, dialect=deepcopy(DIALECT))
    assert version(ACME, PBX, SHOP) == version(ACME, PBX, own) == version(ACME, SHOP, PBX)


@pytest.mark.parametrize(
    "changed",
    [
        msgspec.structs.replace(SHOP, max_cps=7),
        msgspec.structs.replace(SHOP, dialect=msgspec.structs.replace(DIALECT, user_agent="x")),
        mapping_gateway("shop", "2001:db8::/65", account="acme", dialect=DIALECT),
        mapping_gateway("shop", "2001:db8:0:1::/64", account="acme", dialect=DIALECT),
        mapping_gateway("shop", "198.51.100.0/28", account="acme", dialect=DIALECT),
        mapping_gateway("shop2", "2001:db8::/64", account="acme", dialect=DIALECT),
    ],
)
def test_a_change_of_one_trunk_is_another_version(changed):
    assert version(ACME, PBX, changed) != version(ACME, PBX, SHOP)


def test_the_same_change_of_another_trunk_is_another_version():
    one, other = (msgspec.structs.replace(each, max_cps=7) for each in (PBX, SHOP))
    assert version(ACME, one, SHOP) != version(ACME, PBX, other)


def test_a_change_of_an_account_is_another_version():
    assert version(msgspec.structs.replace(ACME, max_cps=7), PBX) != version(ACME, PBX)


def test_another_length_of_a_network_is_another_version():
    shorter = mapping_gateway("pbx", "192.0.2.0/29", account="acme", dialect=DIALECT)
    assert version(ACME, shorter, SHOP) != version(ACME, PBX, SHOP)
