"""Connections to the server of the database with TLS, as the URL asks for it, against a real server."""

from asyncio import StreamWriter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from doubles.certificates import Authority, Certificate
from doubles.process.mariadb import MariaDb
from sqlalchemy import literal, select, text

from vosd.cdr.ports import StoreUnavailable
from vosd.storage.database import Database
from vosd.storage.encryption import EncryptionUnusable, ServerEncryption

_ONE = select(literal(1))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> Certificate:
    return authority.issue("server", "127.0.0.1")


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority, certificate: Certificate
) -> Iterator[MariaDb]:
    running = MariaDb(tmp_path_factory.mktemp("encrypted"))
    running.start(f"--ssl-ca={authority.root.file}", f"--ssl-cert={certificate.file}", f"--ssl-key={certificate.key}")
    yield running
    running.kill()


async def cipher(url: str) -> str:
    database, writers = Database(url), []
    try:
        async with database.reading() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            writers.append(driver._writer)
            return (await connection.execute(text("SHOW SESSION STATUS LIKE 'Ssl_cipher'"))).one()[1]
    finally:
        await database.close()
        for writer in writers:
            await ended(writer)


async def ended(writer: StreamWriter) -> None:
    """Wait for the end of a connection: one with TLS is closed once the server has said so, too."""
    with suppress(OSError):
        await writer.wait_closed()


@pytest.mark.mariadb
async def test_a_connection_is_encrypted_where_the_url_names_an_authority(server: MariaDb, authority: Authority):
    url = server.create_database("plain")
    assert await cipher(url) == ""
    assert await cipher(f"{url}?ssl_ca={authority.root.file}")


@pytest.mark.mariadb
async def test_the_switch_shows_a_certificate_of_its_own(server: MariaDb, authority: Authority):
    own = authority.issue("switch", "switch.example")
    url = f"{server.create_database('own')}?ssl_ca={authority.root.file}&ssl_cert={own.file}&ssl_key={own.key}"
    assert await cipher(url)


@pytest.mark.mariadb
async def test_files_that_are_renewed_in_place_hold_for_new_connections(
    server: MariaDb, authority: Authority, tmp_path: Path
):
    trusted = tmp_path / "ca.pem"
    trusted.write_bytes(Authority(tmp_path, "other").root.file.read_bytes())
    database = Database(f"{server.create_database('renewed')}?ssl_ca={trusted}")
    with pytest.raises(StoreUnavailable, match="certificate verify failed"):
        await database.rows(_ONE)
    trusted.write_bytes(authority.root.file.read_bytes())
    async with database.reading() as connection:
        assert (await connection.execute(_ONE)).scalar() == 1
        driver: Any = (await connection.get_raw_connection()).driver_connection
        writer = driver._writer
    await database.close()
    await ended(writer)


def test_what_was_read_holds_between_the_renewal_of_a_certificate_and_of_its_key(
    authority: Authority, tmp_path: Path
) -> None:
    old, new = authority.issue("old", "switch.example"), authority.issue("new", "switch.example")
    certificate, key = tmp_path / "own.pem", tmp_path / "own.key"
    certificate.write_bytes(old.file.read_bytes())
    key.write_bytes(old.key.read_bytes())
    encryption = ServerEncryption({"ssl_cert": str(certificate), "ssl_key": str(key)})
    first = encryption.context()
    certificate.write_bytes(new.file.read_bytes())
    assert encryption.context() is first
    key.write_bytes(new.key.read_bytes())
    second = encryption.context()
    assert first is not second is encryption.context()


@pytest.mark.mariadb
async def test_a_server_that_cannot_prove_who_it_is_is_not_used(server: MariaDb, tmp_path: Path):
    other = Authority(tmp_path, "other")
    with pytest.raises(StoreUnavailable, match=r"certificate verify failed.*check ssl_ca"):
        await cipher(f"{server.create_database('unproven')}?ssl_ca={other.root.file}")


@pytest.mark.mariadb
async def test_the_name_of_the_server_is_compared_unless_the_url_says_not_to(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority
):
    elsewhere = authority.issue("elsewhere", "db.example")
    running = MariaDb(tmp_path_factory.mktemp("elsewhere"))
    running.start(f"--ssl-cert={elsewhere.file}", f"--ssl-key={elsewhere.key}")
    try:
        url = f"{running.create_database('named')}?ssl_ca={authority.root.file}"
        with pytest.raises(StoreUnavailable, match=r"certificate verify failed.*check ssl_ca"):
            await cipher(url)
        assert await cipher(f"{url}&ssl_check_hostname=false")
    finally:
        running.kill()


@pytest.mark.mariadb
async def test_an_encrypted_connection_that_the_server_has_ended_is_replaced(server: MariaDb, authority: Authority):
    database, writers = Database(f"{server.create_database('ended')}?ssl_ca={authority.root.file}"), []
    for _ in range(2):
        async with database.reading() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            writers.append(driver._writer)
            number = (await connection.execute(text("SELECT CONNECTION_ID()"))).scalar()
        with server.connection() as other:
            other.cursor().execute(f"KILL CONNECTION {number}")
        await ended(writers[-1])
    await database.close()
    assert writers[0] is not writers[1]


@pytest.mark.mariadb
async def test_a_server_without_tls_is_not_used_where_the_url_asks_for_it(tmp_path: Path, authority: Authority):
    running = MariaDb(tmp_path)
    running.start("--skip-ssl")  # from 11.4 on a server makes itself a certificate
    try:
        with pytest.raises(StoreUnavailable, match="offers no TLS"):
            await cipher(f"{running.create_database('open')}?ssl_ca={authority.root.file}")
    finally:
        running.kill()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("ssl_ca=/nowhere/ca.pem", "ssl_ca: /nowhere/ca.pem cannot be read"),
        ("ssl_capath=/etc/ssl/certs", "ssl_capath: expected each of ssl_ca, ssl_cert, ssl_key, ssl_check_hostname"),
        ("ssl_check_hostname=maybe", "ssl_check_hostname: expected true or false"),
        ("ssl_key=/some/key.pem", "ssl_key: expected ssl_cert as well"),
        ("ssl_cert=/nowhere/own.pem", "ssl_cert: /nowhere/own.pem and its key /nowhere/own.pem cannot be used"),
    ],
)
def test_what_the_url_asks_for_is_checked_before_a_connection_is_made(options: str, expected: str) -> None:
    with pytest.raises(EncryptionUnusable, match=expected):
        Database(f"mysql+aiomysql://vosd@db.example/vosd?{options}")


def test_a_key_with_a_password_is_an_error_and_no_question(authority: Authority, tmp_path: Path) -> None:
    own = authority.issue("locked", "switch.example")
    authority.lock(own, tmp_path / "locked.key", "secret")
    with pytest.raises(EncryptionUnusable, match="has no password"):
        Database(f"mysql+aiomysql://vosd@db.example/vosd?ssl_cert={own.file}&ssl_key={tmp_path / 'locked.key'}")
