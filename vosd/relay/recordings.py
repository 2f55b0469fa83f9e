"""Files of recordings, as the switch begins them."""

import os
from pathlib import Path

import structlog

from vosd.media.pcap import HEADER
from vosd.relay.recording import has_room

_log = structlog.get_logger()


def begun_recording(path: Path) -> int | None:
    """Return the descriptor of a new capture file, for its owner alone; None where there is no room for it."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        _log.warning("recording_not_begun", file=str(path), error=str(error))
        return None
    try:
        if has_room(descriptor):
            if not os.fstat(descriptor).st_size:
                os.write(descriptor, HEADER)
            return descriptor
        error_text = "the disk is nearly full"
    except OSError as error:
        error_text = str(error)
    os.close(descriptor)
    _log.warning("recording_not_begun", file=str(path), error=error_text)
    return None
