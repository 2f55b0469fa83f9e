"""Files of numbers: a large one is read and sorted by a process of its own, which sends it back packed.

A thread that is busy for seconds delays every message of the calls, because it holds the interpreter. A file that has
not changed since the running catalogue read it is not read again.
"""

import hashlib
import os
import subprocess
import sys
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final
from weakref import WeakValueDictionary

import msgspec

from vosd.catalogue.problems import ProblemList, SourceLine
from vosd.config.reader.texts import FileStamp, require_regular, stamp_of
from vosd.processes.life import give_way
from vosd.routing.number_lists import NumberList, PackedLines, UnusableLine, pack_lines

_IN_THIS_PROCESS_MAX: Final = 1 << 20
"""Bytes of a file that is read at once: some 80,000 numbers, a tenth of a second."""
_BLOCK_BYTES: Final = 8 << 20
_PIPE_BYTES: Final = 1 << 20
"""Little at a time: copying it holds the interpreter."""
FILE_BYTES_MAX: Final = 4 << 30
_BOM: Final = b"\xef\xbb\xbf"


_readers: Final[set["subprocess.Popen[bytes]"]] = set()
"""Processes that read a file now."""
_known: Final[WeakValueDictionary[tuple[Path, FileStamp], NumberList]] = WeakValueDictionary()
"""Lists in use, by the file that each was read from."""


class _Head(msgspec.Struct, frozen=True):
    """First line of what the process sends; the packed numbers follow."""

    numbers: int
    others: list[str]
    unusable: list[UnusableLine]
    version: str


def read_number_file(path: Path, named_at: SourceLine, key: str, problems: ProblemList) -> NumberList | None:
    """Return the numbers and prefixes of a file; None where a problem was reported."""
    try:
        require_regular(path)
        found = path.stat()
        with path.open("rb"):
            pass
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        problems.error(named_at, key, f"a readable file: {(reason or str(error)).lower()}", str(path))
        return None
    if found.st_size > FILE_BYTES_MAX:
        problems.error(named_at, key, f"a file of at most {FILE_BYTES_MAX} bytes", str(path))
        return None
    stamp = stamp_of(found)
    known = _known.get((path.absolute(), stamp))
    if known is not None:
        return known
    try:
        lines, version = (_read if found.st_size <= _IN_THIS_PROCESS_MAX else _read_by_a_process)(path)
    except (OSError, EOFError) as error:
        problems.error(named_at, key, f"a readable file: {error}", str(path))
        return None
    # A file without a single number is no list of numbers, but perhaps one with passwords.
    is_list = bool(len(lines.numbers) or lines.others)
    for unusable in lines.unusable:
        problems.error(
            SourceLine(str(path), unusable.number), key, "a number or prefix", unusable.text if is_list else None
        )
    if lines.unusable:
        return None
    numbers = NumberList(lines.numbers, lines.others, version)
    _known[path.absolute(), stamp] = numbers
    return numbers


def _read(path: Path) -> tuple[PackedLines, str]:
    """Read a file; return its lines, and a digest of its content."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        lines = pack_lines(_noting(file, digest.update))
    return lines, digest.hexdigest()[:16]


def _noting(file: IO[bytes], note: Callable[[bytes], None]) -> Callable[[], bytes]:
    """Return what reads the next block; a byte order mark at the beginning is left out."""
    is_first = True

    def read() -> bytes:
        nonlocal is_first
        block = file.read(_BLOCK_BYTES)
        note(block)
        text, is_first = block.removeprefix(_BOM) if is_first else block, False
        return text

    return read


def _read_by_a_process(path: Path) -> tuple[PackedLines, str]:
    command = (sys.executable, "-P", "-m", __name__, str(path))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(each for each in sys.path if each)}
    with subprocess.Popen(  # noqa: S603 - this interpreter, and a path that the configuration names
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environment
    ) as process:
        _readers.add(process)
        try:
            return _received(process)
        finally:
            _readers.discard(process)


def stop_reading() -> None:
    """End the processes that read files: the load that waits for them fails. May be called from another thread."""
    for process in tuple(_readers):
        process.kill()


def _received(process: "subprocess.Popen[bytes]") -> tuple[PackedLines, str]:
    """Return what a process sends; raise EOFError if it has ended before the end."""
    if process.stdout is None:
        raise EOFError("no pipe to the process that reads it")
    line = process.stdout.readline()
    if not line.endswith(b"\n"):
        raise EOFError("the process that reads it has ended")
    head = msgspec.json.decode(line, type=_Head)
    numbers = array("d")
    while block := process.stdout.read(_PIPE_BYTES):
        if len(block) % numbers.itemsize:
            break
        numbers.frombytes(block)
    if len(numbers) != head.numbers:
        raise EOFError("the process that reads it has ended too early")
    return PackedLines(numbers, head.others, head.unusable), head.version


def _main() -> None:
    """Send the content of the file that is the argument to standard output."""
    give_way()
    lines, version = _read(Path(sys.argv[1]))
    head = _Head(len(lines.numbers), lines.others, lines.unusable, version)
    sys.stdout.buffer.write(msgspec.json.encode(head) + b"\n")
    sys.stdout.buffer.write(lines.numbers)


if __name__ == "__main__":
    _main()
