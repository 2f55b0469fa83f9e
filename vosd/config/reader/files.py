"""Names of files, sockets and databases, as far as they can be checked without opening them."""

from pathlib import Path
from typing import Final

from vosd.base.secret import Secret
from vosd.config.reader.fields import ExpectedError, FromText
from vosd.config.reader.places_written import URL, flaw_of_url

_PATH_BYTES_MAX: Final = 4_000
"""The kernel takes 4,095; a directory has room for the names of its files."""
_NAME_BYTES_MAX: Final = 255
"""Most that file systems of Linux take."""
_SOCKET_PATH_BYTES_MAX: Final = 107
"""Size of the kernel's ``sun_path``, without the final zero."""


def file_path() -> FromText:
    """Read the name of a file or directory."""

    def read(text: str) -> Path:
        if not text or "\0" in text:
            raise ValueError
        if len(text.encode()) > _PATH_BYTES_MAX or max(map(len, text.encode().split(b"/"))) > _NAME_BYTES_MAX:
            expected = f"a path of at most {_PATH_BYTES_MAX} bytes, with at most {_NAME_BYTES_MAX} in each name"
            raise ExpectedError(expected)
        return Path(text)

    return FromText("a path", read)


def socket_path() -> FromText:
    """Read the name of a Unix socket."""

    def read(text: str) -> Path:
        if not text or "\0" in text or len(text.encode()) > _SOCKET_PATH_BYTES_MAX:
            raise ValueError
        return Path(text)

    return FromText(f"a path of at most {_SOCKET_PATH_BYTES_MAX} bytes", read)


def database_url() -> FromText:
    """Read the URL of the database; its text is a secret, as it may contain a password."""

    def read(text: str) -> Secret:
        if flaw := flaw_of_url(text):
            raise ExpectedError(flaw)
        return Secret(text)

    return FromText(URL, read, Secret.reveal)
