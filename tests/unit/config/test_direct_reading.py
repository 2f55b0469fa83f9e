"""Sound sections are read key by key, as pydantic would read them; it reads the others."""

from typing import Any

import pytest

from vosd.config.keys.accounts import AccountKeys
from vosd.config.keys.parameters import ParameterKeys
from vosd.config.keys.rates import RateKeys
from vosd.config.keys.trunks import MappingGatewayKeys, PhoneKeys, RoutingGatewayKeys
from vosd.config.reader.direct import read_directly
from vosd.config.reader.fields import Keys

SOUND: list[tuple[type[Keys], dict[str, Any]]] = [
    (AccountKeys, {"id": "acme"}),
    (AccountKeys, {"id": "acme", "type": "Clearing", "rate_types": "net", "rights": ["accounts", "phones"]}),
    (AccountKeys, {"id": "acme", "while": "listed", "calendar": "office"}),
    (AccountKeys, {"id": "acme", "overdraft_limit": "12.50", "countries": "de", "user_agents": ["one", "other"]}),
    (AccountKeys, {"id": "acme", "allowed_prefixes": "44, 49", "fee_unit": "0.01", "fee_precision": "2"}),
    (MappingGatewayKeys, {"name": "pbx", "account": "acme", "hosts": "10.0.0.0/8"}),
    (MappingGatewayKeys, {"name": "pbx", "account": "acme", "hosts": ["10.0.0.1:5080", "sip.example.net"]}),
    (MappingGatewayKeys, {"name": "pbx", "account": "acme", "hosts": [], "certificate_names": "Sip.example.net"}),
    (RoutingGatewayKeys, {"name": "one", "account": "acme", "address": "192.0.2.7", "prefixes": ["44"]}),
    (PhoneKeys, {"number": "4930", "account": "acme", "password": "a password of many"}),
    (RateKeys, {"prefix": "44", "billing_rate": "0.012", "interval": "30/6"}),
]  # fmt: skip
DOUBTFUL: list[tuple[type[Keys], dict[str, Any]]] = [
    (AccountKeys, {}),
    (AccountKeys, {"id": "acme", "typ": "direct"}),
    (AccountKeys, {"id": "acme", "type": "card"}),
    (AccountKeys, {"id": "acme", "type": ["direct"]}),
    (AccountKeys, {"id": "acme", "rights": ["accounts", ["phones"]]}),
    (AccountKeys, {"id": "acme", "rights": {"accounts": "yes"}}),
    (AccountKeys, {"id": "acme", "spend_limits": "5"}),
    (AccountKeys, {"id": "acme", "expires_at": "soon"}),
    (AccountKeys, {"id": "acme", "fee_unit": "0.01"}),
    (MappingGatewayKeys, {"name": "pbx", "account": "acme"}),
    (MappingGatewayKeys, {"name": "pbx", "account": "acme", "hosts": "10.0.0.1/8"}),
    (MappingGatewayKeys, {"name": "pbx", "account": "acme", "auth": {"username": "a", "password": "secret"}}),
]


@pytest.mark.parametrize(("model", "values"), SOUND)
def test_a_sound_section_is_read_as_by_pydantic(model: type[Keys], values: dict[str, Any]) -> None:
    read, expected = read_directly(model, values), model.model_validate(values)
    assert read == expected
    assert read is not None
    assert read.model_fields_set == expected.model_fields_set
    assert [*read.__dict__] == [*expected.__dict__]
    for name in set(read.__dict__) - read.model_fields_set:  # parts are made once for all that leave a key out
        assert getattr(read, name) is getattr(expected, name)


@pytest.mark.parametrize(("model", "values"), DOUBTFUL)
def test_what_is_wrong_or_nested_is_left_to_pydantic(model: type[Keys], values: dict[str, Any]) -> None:
    assert read_directly(model, values) is None


def test_a_model_with_a_default_that_follows_from_others_is_left_to_pydantic() -> None:
    assert read_directly(ParameterKeys, {}) is None
    assert ParameterKeys.model_validate({}) == ParameterKeys()
