"""The definitions of the database as they are in force now, whether a switch runs or not."""

import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from vosd.config.assembly.rate_store import is_own
from vosd.config.kept import DIRECTORY
from vosd.config.stored import Stored, Wanted
from vosd.daemon.definitions import StoredDefinitions
from vosd.storage.decks import SqlDecks
from vosd.storage.stored_objects import SqlObjects


def read_definitions(
    wanted: Wanted, remark: Callable[[str], None], held: Callable[[AbstractContextManager[str]], str]
) -> Stored:
    """Return what the database defines; what the switch read last, with a remark, where it cannot be read.

    ``held`` keeps what is open until the verb is over. Rows are written among those of the switch only if this is its
    user: it could not read those of another one.
    """
    place = wanted.state_dir if is_own(wanted.state_dir) else _copy_of(wanted.state_dir, held)
    # A use case may run in an event loop already, and a reader has one of its own.
    with ThreadPoolExecutor(1) as reader:
        definitions = StoredDefinitions(SqlDecks, SqlObjects, trusts_switch=True)
        stored = reader.submit(definitions.read, wanted._replace(state_dir=place)).result()
    if stored.unread is not None and (wanted.decks or stored.decks or stored.objects):
        remark(f"{stored.unread}; what the database defines is as the switch read it last")
    return stored


def _copy_of(state_dir: Path, held: Callable[[AbstractContextManager[str]], str]) -> Path:
    """Return a directory of our own with links to what the switch has read."""
    copy = Path(held(tempfile.TemporaryDirectory(prefix="vosd-")))
    (copy / DIRECTORY).mkdir()
    with suppress(OSError):
        for file in (state_dir / DIRECTORY).iterdir():
            (copy / DIRECTORY / file.name).symlink_to(file.absolute())
    return copy
