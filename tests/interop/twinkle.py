"""twinkle's console as a telephone: typed commands in, lines of text out, sound to ALSA's null device."""

import re
from pathlib import Path
from typing import Final, Self

from doubles.sockets.loopback import Endpoint
from e2e.conditions import eventually

from .program import Program

PROFILE: Final = """\
user_name={number}
user_domain={domain}
auth_name={number}
auth_pass={password}
register_at_startup={registers}
registration_time=600
dtmf_transport=info
"""
SETTINGS: Final = """\
dev_ringtone=alsa:null
dev_speaker=alsa:null
dev_mic=alsa:null
validate_audio_dev=no
play_ringtone=no
play_ringback=no
sip_port={address.port}
rtp_port={rtp_port}
"""


class Twinkle(Program):
    """One telephone; a context manager that never leaves the process running."""

    def __init__(
        self, directory: Path, number: str, address: Endpoint, domain: Endpoint, password: str = "", *, rtp_port: int
    ) -> None:
        """Prepare a telephone that answers to ``number``; with a password it registers at ``domain``."""
        home = directory / ".twinkle"
        home.mkdir()
        registers = "yes" if password else "no"
        (home / "twinkle.cfg").write_text(
            PROFILE.format(number=number, domain=domain, password=password, registers=registers)
        )
        (home / "twinkle.sys").write_text(SETTINGS.format(address=address, rtp_port=rtp_port))
        super().__init__(["twinkle-console"], directory, {"HOME": str(directory)})
        self.address = address
        self._heard = 0

    def __enter__(self) -> Self:
        super().__enter__()
        self._wait_until(lambda: b"Local IP" in self._written())
        return self

    def command(self, line: str) -> None:
        """Type a command."""
        self._type(line)

    def expect(self, pattern: str) -> None:
        """Wait for the next text that a pattern fits; raises PeerError."""

        def found() -> bool:
            self.expect_running()
            match = re.compile(pattern).search(self._written().decode(errors="replace"), self._heard)
            if match is not None:
                self._heard = match.end()
            return match is not None

        eventually(found, lambda: str(self._unexpected(pattern)))
