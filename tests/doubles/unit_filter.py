"""The system calls that ``systemd/vosd.service`` leaves a switch, as systemd filters them: other calls fail with EPERM.

Compiled once, by the process that forks the switches, from the unit and systemd's own list of names.
"""

import ctypes
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

UNIT: Final = Path(__file__).parents[2] / "systemd" / "vosd.service"
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_SET_SECCOMP: Final = 22
_FILTER: Final = 2
_ALLOW: Final = 0x7FFF0000
_EPERM: Final = 0x00050001
_EQUAL_MASKED: Final = 7
_PROT_WRITE: Final = 2
_PROT_EXEC: Final = 4
_INSTRUCTION_BYTES: Final = 8


class _Comparison(ctypes.Structure):
    """``struct scmp_arg_cmp``: an argument of a call, masked, against a value."""

    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("mask", ctypes.c_uint64), ("value", ctypes.c_uint64))


class _Program(ctypes.Structure):
    """``struct sock_fprog``."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def _names() -> set[str]:
    """Return the calls that the unit permits: its lines are applied in their order, as systemd does."""
    sets = _sets()
    permitted: set[str] = set()
    for line in re.findall(r"^SystemCallFilter=(.*)$", UNIT.read_text(), re.MULTILINE):
        named = {call for name in line.removeprefix("~").split() for call in _expanded(name, sets)}
        permitted = permitted - named if line.startswith("~") else permitted | named
    return permitted


def _sets() -> dict[str, list[str]]:
    """Return the sets of calls that systemd names; a member may be another set."""
    shown = subprocess.run(
        ["systemd-analyze", "--no-pager", "syscall-filter"], capture_output=True, text=True, check=True, timeout=60
    )
    sets: dict[str, list[str]] = {}
    for line in shown.stdout.splitlines():
        name = line.partition("#")[0].strip()
        if line.startswith("@"):
            sets[name] = []
        elif name:
            next(reversed(sets.values())).append(name)
    return sets


def _expanded(name: str, sets: Mapping[str, Sequence[str]]) -> Iterator[str]:
    if not name.startswith("@"):
        yield name
        return
    for member in sets[name]:
        yield from _expanded(member, sets)


def _conditions() -> dict[str, list[_Comparison]]:
    """Return the calls that are permitted if one of their comparisons is true: memory is not made executable
    (``MemoryDenyWriteExecute``), sockets are of some families only (``RestrictAddressFamilies``).
    """
    (families,) = re.findall(r"^RestrictAddressFamilies=(.*)$", UNIT.read_text(), re.MULTILINE)
    protections = (0, _PROT_WRITE, _PROT_EXEC)
    return {
        "mmap": [_Comparison(2, _EQUAL_MASKED, _PROT_WRITE | _PROT_EXEC, each) for each in protections],
        "mprotect": [_Comparison(2, _EQUAL_MASKED, _PROT_EXEC, 0)],
        "pkey_mprotect": [_Comparison(2, _EQUAL_MASKED, _PROT_EXEC, 0)],
        "socket": [_Comparison(0, _EQUAL_MASKED, 0xFF, getattr(socket, each)) for each in families.split()],
    }


def _compiled() -> bytes:
    """Return the program for the unit's calls on this machine."""
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(_EPERM))
    conditions = _conditions()
    for name in sorted(_names()):
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number < 0:  # not a call of this machine
            continue
        if name not in conditions:
            assert library.seccomp_rule_add_array(context, _ALLOW, number, 0, None) == 0
        for comparison in conditions.get(name, ()):
            assert library.seccomp_rule_add_array(context, _ALLOW, number, 1, ctypes.byref(comparison)) == 0
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as source:
        assert library.seccomp_export_bpf(context, writer) == 0
        os.close(writer)
        return source.read()


_PROGRAM: Final = _compiled() if shutil.which("systemd-analyze") else b""


def confine() -> None:
    """Put the filter over this process and all that it starts; without systemd's list there is none."""
    if not _PROGRAM:
        return
    program = _Program(len(_PROGRAM) // _INSTRUCTION_BYTES, _PROGRAM)
    library = ctypes.CDLL(None, use_errno=True)
    for arguments in ((_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (_PR_SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0)):
        if library.prctl(*arguments) != 0:
            raise OSError(ctypes.get_errno(), "the system calls of a switch cannot be filtered")
