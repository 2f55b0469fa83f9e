"""stunnel between a peer that speaks TCP alone and one that speaks TLS: for SIPp, which Debian builds without it."""

import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Final, Self

from doubles.certificates import Certificate
from doubles.sockets.loopback import Endpoint, tcp_listening
from vosd.base.errors import VosError

_START_SECONDS: Final = 30.0


class StunnelError(VosError):
    """The tunnel is not there; the message carries what it wrote."""


class Stunnel:
    """One tunnel: what connects to ``accept`` is connected to ``connect``; a context manager that ends it."""

    def __init__(
        self, accept: Endpoint, connect: Endpoint, *, client: bool, root: Path, certificate: Certificate, scratch: Path
    ) -> None:
        """Prepare; a ``client`` speaks TLS where it connects, otherwise where it accepts.

        Both sides believe only what ``root`` leads to. Connections leave from the host of ``accept``.
        """
        self._accept = accept
        self._log = scratch / f"stunnel-{accept.port}.log"
        self._configuration = scratch / f"stunnel-{accept.port}.conf"
        self._configuration.write_text(
            f"foreground = yes\npid =\n[tunnel]\nclient = {'yes' if client else 'no'}\n"
            f"accept = {accept}\nconnect = {connect}\nlocal = {accept.host}\n"
            f"cert = {certificate.file}\nkey = {certificate.key}\nCAfile = {root}\nverifyChain = yes\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        executable = shutil.which("stunnel")
        if executable is None:
            raise StunnelError("stunnel is not installed: apt-get install stunnel4")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen([executable, str(self._configuration)], stdout=log, stderr=log)
        deadline = time.monotonic() + _START_SECONDS
        while not tcp_listening(self._accept):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise StunnelError(f"stunnel does not listen at {self._accept}:\n{self._log.read_text()}")
            select.select([], [], [], 0.005)
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
