"""``api.oidc``: each key has its effect, and what is unsafe or incomplete is refused."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import pytest

from vosd.catalogue.problems import ConfigError
from vosd.config.load import load
from vosd.engine.settings import IdentityProviderSettings

WHOLE: Final[dict[str, Any]] = {
    "issuer": "https://login.example.com",
    "client_id": "vosd",
    "redirect_uri": "https://switch.example.com/api/v1/session/oidc/callback",
}
OTHERS: Final[dict[str, Any]] = {
    "issuer": "https://other.example.com",
    "client_id": "other",
    "client_secret": "a secret",
    "redirect_uri": "https://other.example.com/api/v1/session/oidc/callback",
    "page": "/console/#start",
    "scopes": "openid",
    "name_claim": "email",
    "role_claim": "realm_access.roles",
    "roles": [{"value": "chiefs", "role": "administrator"}],
    "role": "viewer",
    "links_people": "yes",
}


def provider(directory: Path, **keys: Any) -> IdentityProviderSettings:
    file = directory / "vosd.yaml"
    file.write_text(json.dumps({"api": {"listen": "127.0.0.1:8080", "oidc": keys}}))
    found = load(file, {}).settings.identity_provider
    assert found is not None
    return found


@pytest.mark.parametrize("name", OTHERS)
def test_each_key_changes_the_setting_of_its_name(tmp_path: Path, name: str) -> None:
    before, after = provider(tmp_path, **WHOLE), provider(tmp_path, **{**WHOLE, name: OTHERS[name]})
    changed = {each.name for each in fields(before) if getattr(before, each.name) != getattr(after, each.name)}
    assert changed == {name}


def test_people_are_made_where_that_is_configured(tmp_path: Path) -> None:
    assert provider(tmp_path, **WHOLE, makes_people="yes", role="viewer").makes_people


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ({"issuer": "http://login.example.com"}, "issuer"),
        ({"issuer": "ftp://login.example.com"}, "issuer"),
        ({"redirect_uri": "http://switch.example.com/"}, "redirect_uri"),
        ({"client_id": ""}, "client_id"),
        ({"scopes": ["profile"]}, "scopes"),
        ({"makes_people": "yes"}, "roles"),
        ({"page": "//evil.example"}, "page"),
        ({"page": "https://evil.example"}, "page"),
        ({"page": "/\\evil.example"}, "page"),
        ({"roles": [{"value": "chiefs"}]}, "role"),
    ],
    ids=str,
)
def test_a_provider_that_is_unsafe_or_incomplete_is_refused(tmp_path: Path, keys: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=rf"api\.oidc\.\S*{named}"):
        provider(tmp_path, **{**WHOLE, **keys})


def test_a_log_in_page_in_plain_text_is_accepted_of_this_machine_alone(tmp_path: Path) -> None:
    assert provider(tmp_path, **{**WHOLE, "issuer": "http://127.0.0.1:8443/realms/x"}).issuer.startswith("http:")
