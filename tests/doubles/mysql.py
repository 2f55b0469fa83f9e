"""A private MySQL for tests, where its program is named; without one they run on MariaDB alone.

Debian has no MySQL, so the tests do not install it. ``VOSD_TEST_MYSQLD=/usr/sbin/mysqld make test`` runs all that is
said of MariaDB on that server. Its user has the password type that MySQL gives by default, and rights are obeyed.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from doubles.process.mariadb import FAST, MORTAL, PASSWORD, USER, MariaDb, make_system_tables

PROGRAM: Final = "VOSD_TEST_MYSQLD"
"""Name of the variable of the environment with the path of ``mysqld``."""
_USERS: Final = f"""
CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{PASSWORD}';
GRANT ALL PRIVILEGES ON *.* TO '{USER}'@'%' WITH GRANT OPTION;
"""


class MySql(MariaDb):
    """One server process of the program that ``VOSD_TEST_MYSQLD`` names."""

    def _prepared(self, directory: Path, options: tuple[str, ...]) -> list[str]:
        command = [os.environ[PROGRAM], "--no-defaults", *(("--user=root",) if os.geteuid() == 0 else ())]
        data, users = directory / "data", directory / "users.sql"
        if not data.exists():
            users.write_text(_USERS)
            subprocess.run([*command, f"--datadir={data}", "--initialize-insecure"], check=True, capture_output=True)
        return [
            *command,
            f"--datadir={data}",
            f"--tmpdir={directory}",
            f"--init-file={users}",
            "--mysqlx=OFF",
            "--secure-file-priv=NULL",
            "--innodb-buffer-pool-size=128M",
            "--innodb-redo-log-capacity=64M",
            "--disable-log-bin",
            *options,
        ]


def server_of_tests(directory: Path, options: tuple[str, ...] = FAST) -> MariaDb:
    """Return a server that was not started yet: MySQL where the environment names its program, else MariaDB."""
    return (MySql if PROGRAM in os.environ else MariaDb)(directory, options)


def mortal_server(directory: Path) -> Iterator[MariaDb]:
    """Yield a server that runs and may hang, be stopped, or be killed as often as a test likes."""
    server = server_of_tests(directory, MORTAL)
    server.start()
    server.stop()  # one that is killed in its first run has not written the header of its files
    server.start()
    yield server
    server.stop()


def server_with_rights(directory: Path) -> MariaDb:
    """Return such a server that obeys rights once ``FLUSH PRIVILEGES`` was said to it, as MySQL does anyway."""
    if PROGRAM not in os.environ:
        make_system_tables(directory)
    return server_of_tests(directory)
