"""The migrations that this version ships; the newest is the schema that it needs. Refuses to run them."""

import re
from functools import cache
from pathlib import Path
from typing import Final

from vosd.base.errors import VosError

_REVISION: Final = re.compile(r'^(down_)?revision = "(\w+)"$', re.MULTILINE)
_PACKAGE: Final = Path(__file__).resolve().parent.parent


class MigrationsMissing(VosError):  # noqa: N818 - describes the installation
    """The installation lacks its migrations."""


def migrations_path() -> Path:
    """Return the directory of the migrations: inside the package when installed, beside it in the tree.

    Raises:
        MigrationsMissing: neither is there.
    """
    for candidate in (_PACKAGE / "_migrations", _PACKAGE.parent / "migrations"):
        if (candidate / "env.py").is_file():
            return candidate
    raise MigrationsMissing(f"this installation has no migrations below {_PACKAGE}: install vosd again")


def revisions() -> list[str]:
    """Return the revisions of all migrations, the newest last: the schema that this version needs.

    The order is that of their ``down_revision``; the numbers in their names need not follow it. A process reads them
    once: those of a version that is installed beside a running switch are not its own.

    Raises:
        MigrationsMissing: the installation has none.
    """
    return list(_revisions_in(migrations_path()))


@cache
def _revisions_in(directory: Path) -> list[str]:
    after: dict[str | None, str] = {}
    for file in (directory / "versions").glob("[0-9]*.py"):
        found = {bool(down): revision for down, revision in _REVISION.findall(file.read_text(encoding="utf-8"))}
        after[found.get(True)] = found[False]
    ordered: list[str] = []
    while (following := after.get(ordered[-1] if ordered else None)) is not None:
        ordered.append(following)
    if not ordered:
        raise MigrationsMissing(f"this installation has no migrations in {directory}: install vosd again")
    return ordered


def newest_revision() -> str:
    """Return the revision of the newest migration, the schema that this version needs.

    Raises:
        MigrationsMissing: the installation has none.
    """
    return revisions()[-1]
