"""Paths and the URL of the database as a document has them, without a model: most commands need no other setting."""

from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from vosd.config.places import DATABASE_URL
from vosd.config.reader.document import Section

URL: Final = "sqlite+aiosqlite:///FILE or mysql+aiomysql://USER:PASSWORD@HOST:PORT/NAME"
_ESCAPES: Final = "in the password write %40 for @, %2F for /, %3F for ?, %23 for # and %25 for %"
_PARAMETERS: Final = (
    "auth_plugin", "autocommit", "charset", "client_flag", "connect_timeout", "echo", "init_command", "local_infile",
    "program_name", "read_default_file", "read_default_group", "server_public_key", "sql_mode", "ssl_ca", "ssl_cert",
    "ssl_check_hostname", "ssl_key", "unix_socket", "use_unicode",
)  # fmt: skip
"""Parameters of a URL of MySQL; the driver fails at each connection if it does not know one."""


def path_in(document: Section, key: str) -> Path | None:
    """Return the path of a key of the top level; None where it has none."""
    text = document.text_of(key)
    return Path(text) if text else None


def database_url_in(document: Section) -> str | None:
    """Return the URL of the database, or its default; None where it has a flaw, which its model reports."""
    entry = document.entries.get("database")
    if entry is None:
        return DATABASE_URL
    if not isinstance(entry.node, Section):
        return None
    text = entry.node.text_of("url") if "url" in entry.node.entries else DATABASE_URL
    return None if flaw_of_url(text) else text


def flaw_of_url(text: str) -> str | None:
    """Return what is expected of the URL of a database instead of this text; None where it holds."""
    try:
        url = urlsplit(text)
        file = url.path.removeprefix("/")
        parameters = [name for name, _ in parse_qsl(url.query, keep_blank_values=True)]
        is_query = "@" in url.netloc and bool(file) and set(parameters) <= set(_PARAMETERS)
        behind = url.path + url.fragment + ("" if is_query else url.query)
        if url.netloc.count("@") > 1 or "@" in behind:
            # Otherwise a part of the password would be parsed as the host, and shown.
            return f"{URL}; {_ESCAPES}"
        if url.scheme == "sqlite+aiosqlite":
            complete = not url.netloc and bool(file) and ":memory:" not in file
            if complete and parameters:
                return f"{URL}; no parameters behind FILE"
        else:
            complete = url.scheme == "mysql+aiomysql" and bool(url.hostname) and bool(file) and url.port != 0
            if complete and (len(set(parameters)) < len(parameters) or not set(parameters) <= set(_PARAMETERS)):
                return f"{URL}; as parameters behind NAME each of {', '.join(_PARAMETERS)} once at most"
    except ValueError:  # of a port or an address
        return URL
    return None if complete else URL
