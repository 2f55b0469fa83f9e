"""Changes of the state that a switch has left in its state directory, for commands while none runs."""

import os
from pathlib import Path

import msgspec

from vosd.base.number import for_matching, without_separators
from vosd.control.peers import ClearedCallers
from vosd.daemon.claim import StateDirectory
from vosd.engine.state_files import BLACKLIST, blacklist_file
from vosd.processes.whole_file import replace_file


def clear_kept_blacklist(state_dir: Path, caller: str | None, now_ms: int) -> ClearedCallers:
    """Take a calling number, or all, off the list that the next start finds; ``now_ms`` is UTC.

    The file stays that of its owner, who may be another user than the one of the command.

    Raises:
        StateDirectoryError: a switch has begun to run, or the directory cannot be used.
        OSError, msgspec.DecodeError: the file cannot be read or written.
    """
    file, number = state_dir / BLACKLIST, None if caller is None else for_matching(without_separators(caller))
    if not file.exists():
        return ClearedCallers(number, 0)
    directory = StateDirectory(state_dir)
    directory.claim()
    try:
        found = blacklist_file(state_dir).load() or []
        meant = [each for each in found if number is None or each.caller == number]
        if meant:
            owner = file.stat()
            replace_file(file, msgspec.json.encode([each for each in found if each not in meant]))
            if os.geteuid() != owner.st_uid:
                os.chown(file, owner.st_uid, owner.st_gid)
    finally:
        directory.release()
    return ClearedCallers(number, sum(each.until > now_ms for each in meant))
