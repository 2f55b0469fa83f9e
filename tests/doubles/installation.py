"""A configuration and an SQLite database, asked through the command line in this process."""

import asyncio
import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from e2e.addresses import NETWORK

from vosd.cdr.record import CallRecord
from vosd.cli.main import main
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database

CONFIGURATION = """
sip: {listen: ["udp:$network.9:14065"]}
database: {url: "sqlite+aiosqlite:///$directory/vosd.db"}
control_socket: $directory/vosd.sock
rate_groups:
  - name: sell
    rates:
      - {prefix: "44", area: "United Kingdom", billing_rate: "0.012", billing_cycle: 6}
      - {prefix: "1", billing_rate: "0.01", tax_rate: "10"}
accounts:
  - {id: customer-1, type: direct, rate_group: sell}
  - {id: vendor-1, type: clearing, rate_group: sell, overdraft_limit: unlimited}
mapping_gateways:
  - {name: pbx, account: customer-1, hosts: [127.0.0.1/32]}
routing_gateways:
  - {name: trunk, account: vendor-1, address: "127.0.0.1:14085", prefixes: ["44"]}
""".replace("$network", NETWORK)


class Installation:
    """A configuration and its database, asked through the command line."""

    def __init__(self, directory: Path) -> None:
        self.config = directory / "vosd.yaml"
        self.config.write_text(CONFIGURATION.replace("$directory", str(directory)))
        self.database = directory / "vosd.db"
        self.url = f"sqlite+aiosqlite:///{self.database}"

    def vosd(self, *words: str, columns: int | None = None) -> Result:
        environment = {"COLUMNS": None if columns is None else str(columns)}
        return CliRunner(env=environment).invoke(main, [*words, "-c", str(self.config)])

    def document(self, *words: str, exit_code: int = 0) -> Any:
        result = self.vosd(*words, "--json")
        assert result.exit_code == exit_code, result.output
        return json.loads(result.stdout)

    def book(self, records: Sequence[CallRecord]) -> None:
        async def run() -> None:
            database = Database(self.url)
            await SqlBooks(database).book(records)
            await database.close()

        asyncio.run(run())

    def tamper(self, statement: str) -> None:
        connection = sqlite3.connect(self.database)
        connection.execute(statement)
        connection.commit()
        connection.close()
