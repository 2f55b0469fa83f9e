"""Kinds of files by their modes."""

import stat


def may_wait(mode: int) -> bool:
    """Return whether reading of a file may take for ever: it is a pipe, a socket or a device."""
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
