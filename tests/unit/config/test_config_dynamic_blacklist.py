"""``dynamic_blacklist`` of the installation, of mapping gateways and of phones."""

import json

import pytest

from vosd.catalogue.problems import ConfigError
from vosd.config.load import load
from vosd.trunks.gateways import CallerLimits

ALL = {
    "concurrent_limit": "10", "frequency_limit": "60", "window_s": "60", "no_answer_limit": "20", "expire_s": "3600",
}  # fmt: skip


def loaded(directory, own=None, **top):
    gateway = {"name": "acme", "account": "acme", "hosts": "192.0.2.1", **({"dynamic_blacklist": own} if own else {})}
    path = directory / "vosd.yaml"
    path.write_text(json.dumps({"accounts": [{"id": "acme"}], "mapping_gateways": [gateway], **top}))
    return load(path).catalogue


def test_the_limits_are_off_where_they_are_absent(tmp_path):
    content = loaded(tmp_path)
    assert content.parameters.dynamic_blacklist is None
    assert content.mapping_gateways["acme"].dynamic_blacklist is None


def test_a_limit_that_is_left_out_is_none(tmp_path):
    content = loaded(tmp_path, {"frequency_limit": "7"}, dynamic_blacklist=ALL)
    assert content.parameters.dynamic_blacklist == CallerLimits(
        concurrent_limit=10, frequency_limit=60, no_answer_limit=20
    )
    assert content.mapping_gateways["acme"].dynamic_blacklist == CallerLimits(frequency_limit=7)


def test_a_gateway_may_be_exempt(tmp_path):
    content = loaded(tmp_path, {"enabled": "no"}, dynamic_blacklist=ALL)
    assert content.mapping_gateways["acme"].dynamic_blacklist == CallerLimits(enabled=False)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"window_s": "10"}, "dynamic_blacklist.frequency_limit: expected at least one limit, or enabled: no"),
        (
            {"frequency_limit": "0"},
            "dynamic_blacklist.frequency_limit: value .0.: expected a whole number from 1 to 10000",
        ),
        ({"limit": "3"}, "dynamic_blacklist.limit: expected a known key"),
        (
            {"frequency_limit": "3", "expire_s": "1h"},
            "dynamic_blacklist.expire_s: value .1h.: expected a whole number of seconds",
        ),
    ],
)
def test_mistakes_are_named(tmp_path, section, said):
    with pytest.raises(ConfigError, match=said):
        loaded(tmp_path, dynamic_blacklist=section)
    with pytest.raises(ConfigError, match=said):
        loaded(tmp_path, section)
