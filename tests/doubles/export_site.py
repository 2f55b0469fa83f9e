"""An installation on SQLite that exports its calls to files."""

import csv
import io
import json
from pathlib import Path
from typing import Any

from doubles.data.records import call_id
from doubles.installation import Installation


class Site(Installation):
    """An installation with a directory to export to."""

    def __init__(self, directory: Path, migrated: Path) -> None:
        super().__init__(directory)
        self.database.write_bytes(migrated.read_bytes())
        self.out = directory / "out"
        self.out.mkdir()
        self.profile = directory / "profile.yaml"

    def export(self, *words: str, profile: str | None = None, exit_code: int = 0) -> Any:
        if profile is not None:
            self.profile.write_text(profile)
            words = (*words, "--profile", str(self.profile))
        return self.document("cdr", "export", "--out", str(self.out), *words, exit_code=exit_code)

    def files(self) -> list[Path]:
        return sorted(path for path in self.out.iterdir() if path.name[0] != "." and path.suffix != ".json")

    def manifests(self) -> list[dict[str, Any]]:
        return sorted(
            (json.loads(path.read_text()) for path in self.out.glob("[!.]*.json")), key=lambda each: each["number"]
        )

    def exported(self) -> list[str]:
        """The ids of the calls in all files, in order."""
        return [row["call_id"] for path in self.files() for row in csv.DictReader(io.StringIO(path.read_text()))]

    def go_back_to(self, earlier: bytes) -> None:
        """Restore the database."""
        for leftover in (self.database, *self.database.parent.glob("vosd.db-*")):
            leftover.unlink()
        self.database.write_bytes(earlier)

    def correct(self, index: int, fee: str, reference: str) -> None:
        words = ("--fee", fee, "--tax", "0", "--memo", "wrong rate", "--reference", reference)
        assert self.vosd("cdr", "correct", call_id(index), *words).exit_code == 0
