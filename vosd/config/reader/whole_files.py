"""The files of a configuration read as a whole, here or by a process beside the calls (ADR 112).

That process gets what is known of the last load, and sends back what has changed: a thread that parses YAML would delay
every message of the calls.
"""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Final

from vosd.base.errors import VosError
from vosd.base.parts import give_way as let_others_go
from vosd.catalogue.problems import ProblemList
from vosd.config.reader.document import Node, Section, YamlList
from vosd.config.reader.includes import read_files
from vosd.config.reader.items import LONG_LISTS, Known, Packed, ReadFiles, context_of, differing, pack
from vosd.config.reader.texts import DiskTexts, Texts
from vosd.processes import entry
from vosd.processes.entry import search_path
from vosd.processes.life import give_way, live_as_long_as_the_switch

_AT_ONCE: Final = 20
"""Items that are sent in one piece: unpacking it holds the interpreter."""
_BLOCK_BYTES: Final = 1 << 20

Reads = Callable[[Path, Mapping[str, str], Texts, Known], ReadFiles]
"""Reads the main file and all that it includes."""

_readers: Final[set["subprocess.Popen[bytes]"]] = set()


class ReaderEndedError(VosError):
    """The process that reads the files was killed, or not started: they may be right, and the next one may succeed."""


def read_here(path: Path, environ: Mapping[str, str], texts: Texts, known: Known) -> ReadFiles:
    """Read the files, and leave out the items that are ``known``."""
    problems = ProblemList()
    document = read_files(path, environ, problems, texts=texts)
    context, lists = context_of(document), {}
    sections: dict[str, list[Node]] = {}
    for name, key in LONG_LISTS.items():
        node = document.entries[name].node if name in document.entries else None
        items = node.items if isinstance(node, YamlList) else []
        lists[name] = pack(items, key)
        sections[name] = [*items]
        if isinstance(node, YamlList):
            node.items.clear()
    differences = None
    are_regular = all(each.is_regular for each in lists.values())
    if known.context is not None and known.context == context and are_regular and not problems.has_errors:
        differences = {}
        for name, items in sections.items():
            before, apart = known.lists.get(name, Packed()), known.apart.get(name, frozenset())
            sections[name], differences[name] = differing(items, lists[name], before, apart)
    return ReadFiles(
        pickle.dumps(document),
        problems.in_order(),
        texts.contents,
        texts.matched,
        Known(context if are_regular else None, lists),
        sections,
        differences,
    )


def with_items(read: ReadFiles) -> Section:
    """Return a document of its own, with the items that are not known."""
    document: Section = pickle.loads(read.rest)  # noqa: S301 - made by this program
    for name, items in read.sections.items():
        entry = document.entries.get(name)
        if entry is not None and isinstance(entry.node, YamlList):
            entry.node.items.extend(items)
    return document


def unchanged(read: ReadFiles, texts: Texts) -> bool:
    """Return whether all files are as they were; ``texts`` is where they are."""
    try:
        are_same = all(texts.matching(pattern) == found for pattern, found in read.matched.items()) and all(
            texts.read(Path(name), len(content)) == content for name, content in read.contents.items()
        )
    except (OSError, ValueError):
        return False
    return are_same


def read_by_a_process(path: Path, environ: Mapping[str, str], texts: Texts, known: Known) -> ReadFiles:
    """Read the files of the disk in a process of its own.

    Raises:
        ReaderEndedError: the process could not be started, or has ended before it was done.
    """
    command = (sys.executable, "-P", "-m", entry.__name__, __name__)
    environment = {**os.environ, "PYTHONPATH": search_path()}
    try:
        started = subprocess.Popen(  # noqa: S603 - this interpreter
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )
    except OSError as error:
        message = (
            f"{path}: the process that reads it cannot be started ({error}): LimitNOFILE, TasksMax, memory? Say vosd"
            " reload again"
        )
        raise ReaderEndedError(message) from error
    with started as process:
        _readers.add(process)
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            with process.stdin as to:
                pickle.dump((path, dict(environ), known), to)
            return _received(process.stdout, texts)
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            message = f"{path}: the process that reads it has ended ({error}): is memory short? Say vosd reload again"
            raise ReaderEndedError(message) from error
        finally:
            _readers.discard(process)


def stop_reading() -> None:
    """End the processes that read files: the load that waits for them fails. May be called from another thread."""
    for process in tuple(_readers):
        process.kill()


def _received(pipe: IO[bytes], texts: Texts) -> ReadFiles:
    read: ReadFiles = pickle.load(pipe)  # noqa: S301 - from our own process
    for name in LONG_LISTS:
        while items := pickle.load(pipe):  # noqa: S301 - from our own process
            read.sections[name].extend(items)
            let_others_go()
    while True:
        name, size = pickle.load(pipe)  # noqa: S301 - from our own process
        if not name:
            return read._replace(contents=texts.contents)
        blocks = []
        while size:
            block = pipe.read(min(_BLOCK_BYTES, size))
            if not block:
                raise EOFError("in the middle of a file")
            size -= len(block)
            blocks.append(block)
        texts.contents[name] = b"".join(blocks)


def _send(read: ReadFiles, pipe: IO[bytes]) -> None:
    pickle.dump(read._replace(sections={name: [] for name in LONG_LISTS}, contents={}), pipe)
    for name in LONG_LISTS:
        items = read.sections[name]
        for begin in range(0, len(items), _AT_ONCE):
            pickle.dump(items[begin : begin + _AT_ONCE], pipe)
        pickle.dump([], pipe)
    for file, content in read.contents.items():
        pickle.dump((file, len(content)), pipe)
        pipe.write(content)
    pickle.dump(("", 0), pipe)
    pipe.flush()


def main() -> None:
    """Read the files that standard input names, and send them to standard output."""
    live_as_long_as_the_switch()
    give_way()
    path, environ, known = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the process that started this one
    _send(read_here(path, environ, DiskTexts(), known), sys.stdout.buffer)
