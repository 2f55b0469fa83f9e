"""Files that verbs write where their user says."""

import os
from pathlib import Path

import pytest

from vosd.cli.command import OperationError
from vosd.cli.written_file import make_directory, write_file


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_file(pipe, b"a book")
    assert os.read(reader, 100) == b"a book"
    os.close(reader)
    assert pipe.is_fifo()


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
