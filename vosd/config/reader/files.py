"""Names of files, sockets and databases, as far as they can be checked without opening them."""

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from vosd.base.secret import Secret
from vosd.config.reader.fields import ExpectedError, FromText

_SOCKET_PATH_BYTES_MAX: Final = 107
"""Size of the kernel's ``sun_path``, without the final zero."""


def file_path() -> FromText:
    """Read the name of a file or directory."""

    def read(text: str) -> Path:
        if not text or "\0" in text:
            raise ValueError
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
    expected = "sqlite+aiosqlite:///FILE or mysql+aiomysql://USER:PASSWORD@HOST:PORT/NAME"

    def read(text: str) -> Secret:
        url = urlsplit(text)
        file = url.path.removeprefix("/")
        if url.scheme == "sqlite+aiosqlite":
            complete = not url.netloc and bool(file) and ":memory:" not in file
        else:
            complete = url.scheme == "mysql+aiomysql" and bool(url.hostname) and bool(file) and url.port != 0
        if url.netloc.count("@") > 1 or "@" in url.path:
            # Otherwise the part after the first @ would be parsed as the host, and shown.
            raise ExpectedError(f"{expected}; write %40 for an @ in the password")
        if not complete:
            raise ValueError
        return Secret(text)

    return FromText(expected, read, Secret.reveal)
