"""PDF by typst in processes that print many: memory of one at a time."""

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import typst

from vosd.admin.typesetting import TEMPLATE, TypesettingError, printed_beside, typeset

PAGE = os.sysconf("SC_PAGE_SIZE")


def table(name: str, rows: int = 300) -> bytes:
    """Print a table in which every cell is another one than those of other names."""
    cells = ", ".join(f'"{name} {row}", "{row * 7}", "{name}.{row}"' for row in range(rows))
    return typeset({TEMPLATE: f"#table(columns: 3, {cells})".encode()}, {}, 0, "")


def resident() -> int:
    """Return the bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def test_what_was_printed_is_not_kept():
    """With the layout of the last ten, invoices of a wholesaler would take gigabytes of a process that prints them."""
    table("first", 600)
    before = resident()
    for number in range(6):
        table(f"number {number}", 600)
    assert resident() - before < 30 << 20


def test_the_working_directory_is_not_needed(monkeypatch, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert table("once", 1).startswith(b"%PDF")


def test_fonts_are_read_for_what_is_printed_and_once_to_free_it(monkeypatch):
    """To read them takes longer than to print a page, and what was printed is freed behind ten compilations."""
    read: list[str] = []
    for name in ("compile", "Compiler"):
        own = getattr(typst, name)
        monkeypatch.setattr(
            typst, name, lambda *args, own=own, name=name, **more: read.append(name) or own(*args, **more)
        )
    assert table("once", 1).startswith(b"%PDF")
    assert read == ["compile", "Compiler"]


def test_one_is_printed_at_a_time(monkeypatch):
    own: Callable[..., bytes] = typst.compile
    printing: list[int] = []
    together: list[int] = []

    def compiled(*args: Any, **more: Any) -> bytes:
        printing.append(threading.get_ident())
        together.append(len(printing))
        try:
            return own(*args, **more)
        finally:
            printing.pop()

    monkeypatch.setattr(typst, "compile", compiled)
    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(table, "abcd"))
    assert set(together) == {1}


def test_a_mistake_of_a_template_ends_its_turn():
    with ThreadPoolExecutor(1) as threads:
        mistake = threads.submit(typeset, {TEMPLATE: b"#nothing"}, {}, 0, "")
        assert isinstance(mistake.exception(), TypesettingError)
        assert threads.submit(table, "behind it").result().startswith(b"%PDF")


async def test_those_that_wait_keep_no_thread_and_one_that_is_given_up_is_not_printed():
    """Else six large invoices would keep all threads of an API, and log-ins behind them."""
    begun, goes_on = threading.Event(), threading.Event()
    made: list[str] = []

    def first() -> bytes:
        begun.set()
        assert goes_on.wait(30)
        made.append("first")
        return b"%PDF"

    def later() -> bytes:
        made.append("later")
        return b"%PDF"

    printing = asyncio.ensure_future(printed_beside(first))
    await asyncio.to_thread(begun.wait, 30)
    waiting = [asyncio.ensure_future(printed_beside(later)) for _ in range(100)]
    await asyncio.sleep(0)
    async with asyncio.timeout(30):
        assert await asyncio.to_thread(lambda: list(made)) == []
    for each in waiting[1:]:
        each.cancel()
    await asyncio.wait(waiting[1:])
    goes_on.set()
    assert await asyncio.gather(printing, waiting[0]) == [b"%PDF", b"%PDF"]
    assert made == ["first", "later"]
