"""The start of the console, as ``make run`` waits for it."""

import os
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from vosd.engine.settings import HttpListener

PAUSE_S: Final = 0.1
WAIT_S: Final = 120.0
ANSWER_S: Final = 5.0


def answers_soon(listener: "HttpListener", *, has_tls: bool) -> bool:
    """Wait until the management API answers; False where the parent of this process ends before, or after 120 s.

    The certificate is not checked: nothing secret is sent.
    """
    parent, until = os.getppid(), time.monotonic() + WAIT_S
    while not _is_healthy(listener, has_tls=has_tls):
        if os.getppid() != parent or time.monotonic() > until:
            return False
        time.sleep(PAUSE_S)
    return True


def is_journal() -> bool:
    """Return whether standard output goes into the journal of systemd, which is kept and read by others."""
    here = os.fstat(1)
    return os.environ.get("JOURNAL_STREAM") == f"{here.st_dev}:{here.st_ino}"


def _is_healthy(listener: "HttpListener", *, has_tls: bool) -> bool:
    from http.client import HTTPConnection, HTTPException, HTTPSConnection
    from ssl import CERT_NONE, create_default_context

    context = create_default_context()
    context.check_hostname, context.verify_mode = False, CERT_NONE
    kind = (
        HTTPSConnection(*listener, timeout=ANSWER_S, context=context)
        if has_tls
        else HTTPConnection(*listener, timeout=ANSWER_S)
    )
    with suppress(OSError, HTTPException), closing(kind):
        kind.request("GET", "/api/v1/health")
        return kind.getresponse().status == 200
    return False
