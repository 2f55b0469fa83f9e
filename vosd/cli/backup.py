"""``vosd backup`` and ``vosd restore``."""

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from vosd.cli import output
from vosd.cli.command import Invocation, OperationError, Verb, json_verb
from vosd.cli.office import in_office, principal
from vosd.cli.progress import meter
from vosd.processes import loops
from vosd.wiring.office import now_ms

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vosd.admin.backup_file import BackupManifest, BackupReader
    from vosd.admin.office.installation import BackupSheet
    from vosd.admin.restore import Restored
    from vosd.storage.faults import BookDifference

_PLACE: Final = click.Path(path_type=Path)
_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_DIRECTORY: Final = click.Path(file_okay=False, path_type=Path)


@click.command(cls=Verb)
@click.argument("place", type=_PLACE, metavar="DIR_OR_FILE")
@json_verb
def backup(invocation: Invocation, place: Path) -> None:
    """Write a backup to a file: database, journal, and configuration with the files that it names.

    The switch may run meanwhile. In a directory the file is named after the node and the time. It contains passwords
    and telephone numbers: only its owner may read it.
    """
    from vosd.admin.office.installation import MakeBackup, make_backup
    from vosd.processes.life import give_way

    give_way()
    order = MakeBackup(str(place))
    with _said("the backup was not written"), meter("rows, pages or bytes") as shown:
        made = in_office(invocation, lambda office: make_backup(office, principal(), order, shown.show))
    for path in made.manifest.missing:
        output.remark(f"{path} is named in the configuration and cannot be read: it is not in the backup")
    output.outcome({"file": made.file, "bytes": made.bytes, **_shown(made.manifest)}, _summary(made))


def _summary(made: "BackupSheet") -> str:
    tables = made.manifest.tables
    calls, entries = tables.get("cdr", 0), tables.get("ledger_entry", 0)
    held = f"{calls:,} calls, {entries:,} ledger entries"
    return f"{made.file}: {made.bytes:,} bytes, {held}, as of {made.manifest.made_at}"


def _shown(manifest: "BackupManifest") -> dict[str, Any]:
    return {
        "version": manifest.version,
        "schema": manifest.schema,
        "node": manifest.node,
        "made_at": manifest.made_at,
        "database": manifest.database,
        "commits": manifest.commits,
        "tables": manifest.tables,
        "files": len(manifest.members),
        "missing": manifest.missing,
    }


@click.command(cls=Verb)
@click.argument("file", type=_FILE, metavar="FILE")
@click.option("--check", "only_check", is_flag=True, help="Only compare the file with its checksums.")
@click.option("--config-to", type=_DIRECTORY, metavar="DIR", help="Only write the configuration's files below DIR.")
@click.option("--replace", is_flag=True, help="Into a database that is not empty: what it has is lost.")
@click.option(
    "--state",
    "journal",
    type=click.Choice(["keep", "replace"]),
    help="Go on with the journal that is there, or move it aside and restore that of the backup.",
)
@click.option("--verify", is_flag=True, help="Verify the ledger at the end, from its first entry on.")
@json_verb
def restore(
    invocation: Invocation,
    file: Path,
    only_check: bool,
    config_to: Path | None,
    replace: bool,
    journal: str | None,
    verify: bool,
) -> None:
    """Put a backup into an empty database, and its journal into a state_dir that has none.

    No switch may run on either. Nothing is changed before every checksum is compared. A later journal of the same
    database stays: calls that it has and the database lacks are booked at the next start.
    """
    from vosd.admin.backup_file import opened

    with _said("not all is restored"), opened(file) as reader:
        with meter("bytes checked") as shown:
            reader.check(shown.show)
        if config_to is not None:
            _restore_configuration(reader, config_to)
        elif only_check:
            said = f"{file} is sound: {len(reader.manifest.members)} files, as of {reader.manifest.made_at}"
            output.outcome({"file": str(file), **_shown(reader.manifest)}, said)
        else:
            restored = loops.run(_put_back(invocation, reader, journal, may_replace=replace))
            _finish(invocation, restored, is_verified=verify)


def _restore_configuration(reader: "BackupReader", directory: Path) -> None:
    from vosd.admin.restore import restore_configuration

    main = restore_configuration(reader, directory)
    output.outcome(
        {"configuration": str(main)}, f"the configuration is {main}: look at its paths and addresses before you use it"
    )


def _finish(invocation: Invocation, restored: "Restored", *, is_verified: bool) -> None:
    found: list[BookDifference] = []
    if is_verified:
        in_office(invocation, lambda office: office.stores.verify(found.append, whole=True))
    if output.wants_json():
        verified = [str(each) for each in found] if is_verified else None
        output.document({**_document(restored), "differences": verified})
    else:
        _tell(restored)
        for each in found:
            output.line(str(each))
        if is_verified:
            output.line(f"ledger verified: {len(found) or 'no'} differences")
    if found:
        sys.exit(OperationError.exit_code)


def _document(restored: "Restored") -> dict[str, Any]:
    import msgspec

    return msgspec.structs.asdict(restored)


def _tell(restored: "Restored") -> None:
    output.table(
        ("table", "rows"), [(name, count) for name, count in restored.tables.items() if count], empty="no rows"
    )
    if restored.replaced is not None:
        output.line(f"the database that was there: {restored.replaced}")
    output.line(
        {
            "restored": "the journal is restored: the next start books from it what the database lacks",
            "kept": "the journal that is here stays: the next start books from it what the database lacks",
            "none": "the backup has no journal",
        }[restored.state]
    )
    if restored.replaced_journal is not None:
        output.line(f"the journal that was there: {restored.replaced_journal}")
    if restored.left_out:
        output.line(f"these files stay as they are here, the backup has others: {', '.join(restored.left_out)}")
    output.line(f"restored as of {restored.made_at}; payments booked later have to be booked again")


async def _put_back(
    invocation: Invocation, reader: "BackupReader", journal: str | None, *, may_replace: bool
) -> "Restored":
    from vosd.admin.restore import JournalChoice, put_back
    from vosd.daemon.claim import StateDirectory

    settings, choice = invocation.settings, JournalChoice(journal) if journal else None
    state = StateDirectory(settings.state_dir)
    with meter("rows" if reader.manifest.database == "mysql" else "bytes") as shown:
        return await put_back(reader, settings, choice, state, shown.show, now_ms, may_replace=may_replace)


@contextmanager
def _said(consequence: str) -> "Iterator[None]":
    """Turn an error of the file system into one line."""
    try:
        yield
    except OSError as error:
        raise OperationError(f"{error.filename or 'the file'}: {error.strerror or error}; {consequence}") from error
