"""Place by which two URLs are of one database."""

import pytest

from vosd.config.places import place_of_database


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
