"""The rows of a workbook, read by a process of its own with bounded memory.

A workbook is a ZIP archive: 200 kB of it may be a cell of 200 MB, for which a reader needs 6 GB.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import IO, Final
from zipfile import ZipFile

import msgspec

from vosd.base.errors import VosError
from vosd.base.unzippable import UNZIPPABLE
from vosd.config.decks import workbook_process
from vosd.config.decks.assumptions import Assumptions
from vosd.config.decks.workbook_process import CPU_SECONDS_MAX, FoundRows
from vosd.processes import entry
from vosd.processes.entry import search_path

UNPACKED_MAX: Final = 768 << 20
"""Bytes that a workbook may unpack to; 500,000 rates of eight columns are 170 MB."""
MEMORY_MAX: Final = 2 << 30
"""Bytes of memory that its process may use; such a workbook takes 400 MB."""

Progress = Callable[[int, int], None]
"""Takes how much was read and how much there is, in bytes or rows."""


class SheetError(VosError):
    """A file cannot be read as a sheet; the message names it, the line, and what is expected."""


def rows_of(
    path: Path, header_line: int, sheet: str | None, assumed: Assumptions, progress: Progress
) -> Generator[tuple[int, Sequence[str], Sequence[int], Sequence[int]]]:
    """Yield the rows of a sheet from its header on, each as ``FoundRows`` has it; ``assumed`` is filled at its end.

    Raises:
        SheetError: the file cannot be read, or not to its end.
    """
    _check_size(path)
    command = [
        *(sys.executable, "-P", "-m", entry.__name__, workbook_process.__name__),
        *(str(MEMORY_MAX), str(path), str(header_line), *([] if sheet is None else [sheet])),
    ]
    process = subprocess.Popen(  # noqa: S603 - our own program
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": search_path()},
    )
    assert process.stdout is not None
    try:
        while not (found := _received(process, process.stdout, path)).is_finished:
            yield from found.rows
            if found.failure:
                raise SheetError(f"{path}{found.failure}")
            if found.rows:
                progress(found.rows[-1][0], found.height)
        yield from found.rows
        assumed.add(found.assumed)
    finally:
        process.kill()
        process.stdout.close()
        process.wait()


def _received(process: "subprocess.Popen[bytes]", pipe: IO[bytes], path: Path) -> FoundRows:
    head = pipe.read(4)
    size = int.from_bytes(head, "big")
    content = pipe.read(size)
    if len(head) < 4 or len(content) < size:
        if process.wait() == -signal.SIGXCPU:
            message = f"{path}: expected a workbook that is read in {CPU_SECONDS_MAX} seconds: save it as CSV UTF-8"
            raise SheetError(message)
        raise SheetError(
            f"{path}: expected a workbook that fits into {MEMORY_MAX >> 20} MiB of memory: the process that read it "
            "ended; save the sheet with the rates as a workbook of its own, or as CSV UTF-8"
        )
    return _decode(content)


def _check_size(path: Path) -> None:
    try:
        with ZipFile(path) as archive:
            unpacked = sum(each.file_size for each in archive.infolist())
    except OSError as error:
        raise SheetError(f"{path}: {(error.strerror or str(error)).lower()}") from error
    except UNZIPPABLE as error:
        raise SheetError(f"{path}: expected an XLSX file: {error}") from error
    if unpacked > UNPACKED_MAX:
        raise SheetError(
            f"{path}: expected a workbook that unpacks to at most {UNPACKED_MAX >> 20} MiB, not {unpacked >> 20}: save "
            "the sheet with the rates as a workbook of its own, or as CSV UTF-8"
        )


_decode: Final = msgspec.msgpack.Decoder(FoundRows).decode
