"""Place by which two URLs are of one database, and id by which a switch is told from others."""

import os
from pathlib import Path

import pytest

from vosd.config.places import installation_of, place_of_database


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("mysql+aiomysql://a:b@db/vosd?charset=utf8mb4", "db:3306/vosd"),
        ("mysql+aiomysql://a:b@db:3307/vosd", "db:3307/vosd"),
        ("mysql+aiomysql://a:b@localhost/vosd?unix_socket=/run/a.sock", "/run/a.sock/vosd"),
        ("mysql+aiomysql://a:b@127.0.0.1/vosd?unix_socket=%2Frun%2Fb.sock&program_name=x", "/run/b.sock/vosd"),
        ("sqlite+aiosqlite:////var/lib/vosd/vosd.db", "/var/lib/vosd/vosd.db"),
    ],
)
def test_a_server_is_known_by_its_socket_or_its_address(url: str, place: str) -> None:
    assert place_of_database(url) == place


def test_a_switch_has_an_id_where_a_link_leads_to_a_directory_whose_name_is_not_utf_8(tmp_path: Path) -> None:
    there = tmp_path / os.fsdecode(b"b\xfcro")
    there.mkdir()
    (tmp_path / "office").symlink_to(there)
    found = [installation_of(tmp_path / each / "vosd.yaml", "sw1").id for each in ("office", there.name, ".")]
    assert found[0] == found[1] != found[2]
