"""A configuration with a deck and its database, and ``vosd rates`` on it; no switch runs."""

import json
from pathlib import Path
from typing import Any

import click.testing

from doubles.migrated import migrated
from vosd.cli.main import main

CONFIGURATION = """
database: {{url: "sqlite+aiosqlite:///{directory}/vosd.db"}}
state_dir: {directory}/state
rate_groups:
  - {{name: acme, deck: true}}
  - {{name: plain, rates: [{{prefix: "*", billing_rate: "0.1"}}]}}
"""


class Site:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config = directory / "vosd.yaml"
        self.config.write_text(CONFIGURATION.format(directory=directory))
        migrated(directory / "vosd.db")

    def write(self, text: str, name: str = "rates.csv") -> str:
        (self.directory / name).write_text(text, encoding="utf-8")
        return str(self.directory / name)

    def run(self, *words: str, code: int = 0) -> str:
        result = click.testing.CliRunner().invoke(main, ["-c", str(self.config), "rates", *words])
        assert result.exit_code == code, result.output
        return result.output

    def ask(self, *words: str, code: int = 0) -> Any:
        result = click.testing.CliRunner().invoke(main, ["-c", str(self.config), "rates", *words, "--json"])
        assert result.exit_code == code, result.output
        return json.loads(result.stdout)

    def exported(self, *words: str) -> str:
        self.run("export", "acme", str(self.directory / "out.csv"), *words)
        return (self.directory / "out.csv").read_text(encoding="utf-8")
