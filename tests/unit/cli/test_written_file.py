"""Files that verbs write where their user says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vosd.cli.command import OperationError
from vosd.cli.written_file import make_directory, write_file, written_text
from vosd.processes.whole_file import open_growing


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_file(pipe, b"a book")
    assert os.read(reader, 100) == b"a book"
    os.close(reader)
    assert pipe.is_fifo()


def test_a_file_that_output_is_redirected_to_keeps_its_lines(tmp_path: Path) -> None:
    file = tmp_path / "all.txt"
    file.write_text("start\n")
    program = "from vosd.cli.written_file import *; print('a', flush=True); write_file(Path('/dev/stdout'), b'b\\n');"
    with file.open("ab") as output:
        subprocess.run([sys.executable, "-c", f"{program} print('c')"], check=True, stdout=output)
    assert file.read_text() == "start\na\nb\nc\n"


def test_a_file_that_grows_is_added_to_redirected_output_too(tmp_path: Path) -> None:
    file = tmp_path / "all.txt"
    file.write_text("start\n")
    program = (
        "from vosd.processes.whole_file import *\nwith open_growing(Path('/dev/stdout')) as file: file.write(b'a\\n')"
    )
    with file.open("ab") as output:
        subprocess.run([sys.executable, "-c", f"{program}\nprint('b')"], check=True, stdout=output)
    assert file.read_text() == "start\na\nb\n"


def test_a_file_that_grows_begins_anew_and_is_private(tmp_path: Path) -> None:
    file = tmp_path / "growing"
    for content in (b"a long one", b"short"):
        with open_growing(file) as growing:
            growing.write(content)
        assert (file.read_bytes(), file.stat().st_mode & 0o777) == (content, 0o600)


def test_a_text_that_is_cut_off_leaves_the_whole_one_of_before(tmp_path: Path) -> None:
    file = tmp_path / "calls.csv"
    with written_text(file) as write:
        write("call,net\n")
        write("1,0.10\n")
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(UnicodeEncodeError), written_text(file) as write:
        [write(part) for part in ("call,net\n", "\ud800")]
    assert file.read_text() == "call,net\n1,0.10\n"
    assert [each.name for each in tmp_path.iterdir()] == ["calls.csv"]


def test_a_text_for_a_full_disk_is_said_with_its_file() -> None:
    said = "/dev/full cannot be written: No space left on device"
    with pytest.raises(OperationError, match=said), written_text(Path("/dev/full")) as write:
        write("call,net\n")


def test_a_text_goes_to_standard_output_by_a_dash(capsys: pytest.CaptureFixture[str]) -> None:
    with written_text(Path("-")) as write:
        write("call,net\n")
    assert capsys.readouterr().out == "call,net\n"


@pytest.mark.parametrize("name", ["n" * 255, f"{'报' * 80}.xlsx"])
def test_a_name_may_be_as_long_as_the_file_system_takes_it(tmp_path: Path, name: str) -> None:
    write_file(tmp_path / name, b"a book")
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_links_that_lead_in_a_circle_cannot_be_written(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(link)
    for path in (link, link / "book.xlsx"):
        with pytest.raises(OperationError, match="cannot be written: Too many levels of symbolic links"):
            write_file(path, b"a book")


def test_files_beside_it_stay_as_they_are_and_a_link_is_followed(tmp_path: Path) -> None:
    victim, link = tmp_path / "victim", tmp_path / "book.draft"
    victim.write_text("of another user")
    link.symlink_to(victim)
    write_file(tmp_path / "book.xlsx", b"a book")
    assert (tmp_path / "book.xlsx").read_bytes() == b"a book"
    assert not (tmp_path / "book.xlsx").is_symlink()
    assert victim.read_text() == "of another user"
    write_file(link, b"a draft")
    assert (link.is_symlink(), victim.read_bytes()) == (True, b"a draft")
    assert {each.name for each in tmp_path.iterdir()} == {"victim", "book.draft", "book.xlsx"}


@pytest.mark.parametrize("name", ["missing/book.xlsx", "n" * 300, ""])
def test_a_name_that_cannot_be_written_is_said_as_it_was_given(tmp_path: Path, name: str) -> None:
    with pytest.raises(OperationError, match="cannot be written"):
        write_file(tmp_path / name, b"a book")
    assert [*tmp_path.iterdir()] == []


def test_a_directory_below_a_file_cannot_be_made(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(OperationError, match="file/below cannot be written"):
        make_directory(file / "below")
