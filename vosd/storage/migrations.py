"""The migrations that this version ships; the newest is the schema that it needs. Refuses to run them."""

from pathlib import Path
from typing import Final

from vosd.base.errors import VosError

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
    message = f"this installation has no migrations below {_PACKAGE}: install vosd again"
    raise MigrationsMissing(message)


def newest_revision() -> str:
    """Return the revision of the newest migration, the schema that this version needs: the number of its file.

    Raises:
        MigrationsMissing: the installation has none.
    """
    numbers = sorted(file.name.partition("_")[0] for file in (migrations_path() / "versions").glob("[0-9]*.py"))
    if not numbers:
        message = f"this installation has no migrations in {migrations_path()}: install vosd again"
        raise MigrationsMissing(message)
    return numbers[-1]
