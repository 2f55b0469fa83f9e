"""rtpengine as a process on loopback, without its kernel module, with the configuration that we ship."""

import signal
from contextlib import nullcontext
from pathlib import Path
from typing import Final, Self

from doubles.home import Namespace
from doubles.sockets.loopback import Endpoint, udp_bound

from vosd.trunks.media import RtpEngine

from .program import Program

SHIPPED: Final = Path(__file__).parents[2] / "config" / "rtpengine.conf"


class Rtpengine(Program):
    """One rtpengine; a context manager that never leaves it running. It can be killed, stopped and started anew."""

    def __init__(
        self,
        directory: Path,
        name: str,
        control: Endpoint,
        ports: tuple[int, int],
        *,
        also: tuple[str, ...] = (),
        network: Namespace | None = None,
        options: tuple[str, ...] = (),
    ) -> None:
        """Control and media are at one address, media at the ports from the first to the second.

        Media are ``also`` at other addresses. In a ``network`` of its own it knows no other. ``options`` win over what
        we ship.
        """
        self.control = control
        self._network = network
        self.config = RtpEngine(name, control.host, control.port)
        own = directory / name
        own.mkdir()
        hosts = (control.host, *also)
        super().__init__(
            [
                *(() if network is None else network.launcher), "rtpengine", f"--config-file={SHIPPED}", "--foreground",
                *(f"--interface={each}" for each in hosts), f"--listen-ng={control}", f"--port-min={ports[0]}",
                f"--port-max={ports[1]}", "--log-stderr", "--log-level=5", "--num-threads=1", "--recording-dir=",
                f"--pidfile={own / 'pid'}", *options,
            ],
            own,
        )  # fmt: skip

    def __enter__(self) -> Self:
        super().__enter__()
        self._wait_until(self._is_bound)
        return self

    def _is_bound(self) -> bool:
        with nullcontext() if self._network is None else self._network.inside():
            return udp_bound(self.control)

    @property
    def pid(self) -> int:
        """The number of its process."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """End it as a power loss does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """Let it stand still: its sockets take datagrams that nothing reads."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        tasks = Path(f"/proc/{self._process.pid}/task")
        self._wait_until(lambda: all(b") T " in (task / "stat").read_bytes() for task in tasks.iterdir()))

    def go_on(self) -> None:
        """End the pause."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def start_anew(self) -> None:
        """Start it again after a kill."""
        self.__exit__()
        self.__enter__()
