"""baresip as a telephone: one process without a sound card, told what to do and asked what happened over TCP.

Owns its configuration, its life, its control connection and its record of SIP messages and sound. It does not know
what a call should be like; that stands in the tests.
"""

import json
import re
import socket
import time
from collections import deque
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final, Self

from doubles.certificates import Authority, Certificate
from doubles.home import Namespace
from doubles.sockets.loopback import HOST, Endpoint
from doubles.sockets.peer import Message
from doubles.sockets.waiting import readable

from .program import PeerError, Program

MODULES: Final = Path("/usr/lib/baresip/modules")
_COMMAND_SECONDS: Final = 30.0
_CONTROL_PORT: Final = 4444
_TRACED: Final = re.compile(rb"^(?:UDP|TCP|TLS) \S+ -> \S+\r?\n(.*?)\x1b\[;m", re.DOTALL | re.MULTILINE)

CONFIGURATION: Final = """\
module_path {modules}
module g711.so
module aufile.so
module aubridge.so
module sndfile.so
{protecting}module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
sip_listen {address}
net_interface {interface}
ctrl_tcp_listen {control}
snd_path {directory}
audio_source aufile,{tone}
audio_player aubridge,silent
audio_alert aubridge,silent
ausrc_srate 8000
ausrc_channels 1
auplay_srate 8000
auplay_channels 1
rtp_ports 20000-29999
"""


class Baresip(Program):
    """One telephone; a context manager that never leaves the process running."""

    def __init__(
        self,
        directory: Path,
        number: str,
        address: Endpoint,
        tone: Path,
        transport: str = "udp",
        registrar: Endpoint | None = None,
        network: Namespace | None = None,
        *,
        is_version6: bool = False,
        encryption: str = "",
    ) -> None:
        """Write the configuration of a telephone that answers to ``number`` and plays the sound file ``tone``.

        It takes calls by any transport at ``address`` and makes them by ``transport``. With a ``registrar`` it
        registers there, with ``secret`` as its password. In a ``network`` of its own it knows no other. ``encryption``
        is one of baresip's: srtp, srtp-mand, dtls_srtp, with what follows it in the account, as ``;medianat=ice``.
        """
        launcher = () if network is None else network.launcher
        super().__init__(
            [*launcher, "baresip", "-6" if is_version6 else "-4", "-s", "-v", "-f", str(directory)], directory
        )
        self.address = address
        self._network = network
        self._control_address = Endpoint(HOST if is_version6 else address.host, _CONTROL_PORT)
        at = Endpoint(f"[{address.host}]", address.port) if is_version6 else address
        self._directory = directory
        self._transport = transport
        self._control: socket.socket | None = None
        self._received = b""
        self._events: deque[Mapping[str, Any]] = deque()
        self._past: deque[str] = deque(maxlen=30)
        self._tokens = 0
        protecting = ("dtls_srtp", "ice") if encryption.startswith("dtls_srtp") else ("srtp",)
        (directory / "config").write_text(
            CONFIGURATION.format(
                modules=MODULES,
                protecting="".join(f"module {each}.so\n" for each in protecting),
                address=at,
                interface=address.host,
                control=self._control_address,
                directory=directory,
                tone=tone,
            )
        )
        registers = "regint=0" if registrar is None else f"auth_user={number};auth_pass=secret;regint=60"
        sealed = f";mediaenc={encryption}" if encryption else ""
        (directory / "accounts").write_text(
            f"<sip:{number}@{registrar or at};transport={transport}>;{registers};answermode=manual{sealed}\n"
        )
        (directory / "contacts").touch()

    def __enter__(self) -> Self:
        super().__enter__()
        self._wait_until(self._is_connected)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._control is not None:
            self._control.close()
        super().__exit__(*exception)

    def trust(self, authority: Authority, certificate: Certificate) -> None:
        """Take a certificate for TLS, and believe those that ``authority`` gave to others; comes first."""
        both = self._directory / "telephone.pem"
        both.write_text(certificate.file.read_text() + certificate.key.read_text())
        with (self._directory / "config").open("a") as configuration:
            configuration.write(f"sip_certificate {both}\nsip_cafile {authority.root.file}\n")

    # -- what a person would do -----------------------------------------------------------------------------------

    def dial(self, number: str, switch: Endpoint) -> None:
        """Call a number through the switch."""
        self.command("dial", f"sip:{number}@{switch};transport={self._transport}")

    def accept(self) -> None:
        """Answer the call that rings."""
        self.command("accept")

    def hang_up(self) -> None:
        """End the call, refuse it (486) or give it up, whichever it has come to."""
        self.command("hangup")

    def hold(self) -> None:
        """Put the other side on hold."""
        self.command("hold")

    def resume(self) -> None:
        """Take the other side back from hold."""
        self.command("resume")

    def press(self, key: str) -> None:
        """Press a key; baresip 1.0 sends it as an RTP event (RFC 4733) alone."""
        self.command("sndcode", key)

    def transfer(self, uri: str) -> None:
        """Ask the other side to call ``uri`` instead (REFER)."""
        self.command("transfer", uri)

    def switch_off(self) -> None:
        """Go away, and say so to the registrar first."""
        self._say("quit", "")

    def calls(self) -> str:
        """Return the list of calls as a person would read it."""
        return self.command("listcalls")

    # -- what it tells --------------------------------------------------------------------------------------------

    def expect(self, kind: str, within_s: float = 40.0, **values: str) -> Mapping[str, Any]:
        """Return the next event of that kind with these values; events before it are passed over.

        Raises:
            PeerError: none came in time.
        """
        deadline = time.monotonic() + within_s
        while True:
            while self._events:
                event = self._events.popleft()
                if event["type"] == kind and all(event.get(name) == value for name, value in values.items()):
                    return event
            left = deadline - time.monotonic()
            if left <= 0:
                raise self._missed(f"{kind} {values or ''}")
            self._read(left)

    def command(self, name: str, parameters: str = "") -> str:
        """Give one command and return what baresip said to it.

        Raises:
            PeerError: it refused, or said nothing in time.
        """
        token = self._say(name, parameters)
        deadline = time.monotonic() + _COMMAND_SECONDS
        while True:
            for event in tuple(self._events):
                if event.get("token") == token:
                    self._events.remove(event)
                    if not event["ok"]:
                        raise self._missed(f"{name} {parameters} to be done")
                    return str(event["data"])
            if time.monotonic() > deadline:
                raise self._missed(f"an answer to {name}")
            self._read(deadline - time.monotonic())

    def came(self) -> list[Message]:
        """Return every SIP message that came in, in order, without its repetitions: a busy telephone gets some.

        It is the Via that tells: over TCP both ends may be at addresses that are not configured.
        """
        ours = f" {self.address.host}:"
        traced = (Message(text, self.address) for text in dict.fromkeys(_TRACED.findall(self._written())))
        return [message for message in traced if (ours in message["Via"]) == (message.method is None)]

    def received(self, method: str) -> list[Message]:
        """Return the requests of one method that came in."""
        return [message for message in self.came() if message.method == method]

    def responses(self, method: str) -> list[Message]:
        """Return the responses to requests of one method that came in."""
        return [message for message in self.came() if message.status and message["CSeq"].endswith(f" {method}")]

    def sound(self) -> Path:
        """Return the file of what was heard in the latest call."""
        files = sorted(self._directory.glob("dump-*-dec.wav"))
        if not files:
            raise self._missed("a sound file")
        return files[-1]

    # -- inside ---------------------------------------------------------------------------------------------------

    def _say(self, name: str, parameters: str) -> str:
        """Give a command and return what its answer will be known by."""
        assert self._control is not None, "a telephone is switched on before it is used"
        self._tokens += 1
        token = str(self._tokens)
        document = json.dumps({"command": name, "params": parameters, "token": token}).encode()
        self._past.append(f"> {name} {parameters}")
        self._control.sendall(b"%d:%s," % (len(document), document))
        return token

    def _is_connected(self) -> bool:
        with nullcontext() if self._network is None else self._network.inside():
            try:
                self._control = socket.create_connection(self._control_address)
            except ConnectionRefusedError:
                return False
        return True

    def _read(self, within_s: float) -> None:
        """Take what comes on the control connection: netstrings of JSON."""
        assert self._control is not None, "a telephone is switched on before it is used"
        if not readable([self._control], within_s):
            return
        data = self._control.recv(65_535)
        if not data:
            raise self._missed("the control connection to stay open")
        self._received += data
        while (cut := self._received.partition(b":"))[1]:
            length = int(cut[0])
            if len(cut[2]) <= length:
                return
            self._received = cut[2][length + 1 :]
            event = json.loads(cut[2][:length])
            event.setdefault("type", "RESPONSE")
            self._events.append(event)
            self._past.append(f"< {event['type']} {event.get('param', event.get('data', ''))}")

    def _missed(self, wanted: str) -> PeerError:
        return self._unexpected(wanted, [f"(telephone at {self.address})", *self._past])
