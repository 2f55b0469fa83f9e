"""Who takes part: trunks over UDP and TCP, at public addresses and behind NAT, and telephones that register."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from doubles.sockets.login import Login, answer_to
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import ANSWER, OFFER, Message, compose, response_lines

from .ports import Bench, Port, TcpPort, UdpPort
from .sides import Side

if TYPE_CHECKING:
    from .calls import Call

BEHIND: Final = "192.168.77"
"""The network of those behind NAT, as they see themselves."""
_REGISTER_AGAIN_S: Final = 0.3
_SUPPORTED: Final = "Supported: 100rel, timer"


class Party:
    """One user agent, which calls and is called."""

    def __init__(
        self, bench: Bench, name: str, switch: Endpoint, address: Endpoint, transport: str = "UDP", private: str = ""
    ) -> None:
        """``private``: it is behind NAT, and believes to be there."""
        self.bench = bench
        self.name = name
        self.switch = switch
        self.calls: dict[str, Call] = {}
        """By called number: what becomes of it when it comes here."""
        self.sides: dict[str, Side] = {}
        self.wrong: list[str] = []
        self.pings = 0
        """Keep-alives that have come."""
        self.is_nat = bool(private)
        self.port: Port = self._port(address, transport)
        self.seen_as = private or str(address)
        parameter = "" if transport == "UDP" else f";transport={transport.lower()}"
        self.contact = f"sip:{name}@{self.seen_as}{parameter}"
        self.login: Login | None = None

    def _port(self, address: Endpoint, transport: str) -> Port:
        if transport == "UDP":
            return UdpPort(self.bench, address, self.take)
        port = TcpPort(self.bench, address, self.take, is_reachable=not self.is_nat)
        port.on_closed = self._line_closed
        return port

    def _line_closed(self, _remote: Endpoint) -> None:
        """Do nothing: it is opened again for the next request."""

    def session(self, template: str) -> str:
        """Return a session description of ours."""
        host = self.seen_as.partition(":")[0]
        return template.replace("192.0.2.10", host).replace("192.0.2.20", host)

    # -- calls --------------------------------------------------------------------------------------------------

    def call(self, call: "Call") -> None:
        """Begin a call."""
        kind = call.kind
        side = call.caller = Side(self, f"{call.number}@{self.name}", self.session(OFFER))
        self.sides[side.call_id] = side
        side.target = f"sip:{call.number}@{self.switch}"
        side.local = f"<sip:{self.name if self.login else '12025550100'}@{self.switch.host}>;tag={side.tag}"
        side.remote = f"<{side.target}>"
        side.withholds_ack = kind.acknowledges_late
        headers = ["Allow: INVITE, ACK, BYE, CANCEL, UPDATE, INFO, PRACK, REFER"]
        if kind.is_reliable or kind.session_s:
            headers.append(_SUPPORTED)
        if kind.session_s:
            headers.append(f"Session-Expires: {kind.session_s};refresher=uac")
        self._invite(call, side, headers)

    def _invite(self, call: "Call", side: Side, headers: list[str]) -> None:
        offer = "" if call.kind.offers_late else side.mine

        def done(response: Message) -> None:
            if response.status in {401, 407} and self.login is not None:
                side.acknowledge(response, "")
                proof = answer_to(response, self.login, "INVITE", side.target)
                assert proof is not None
                side.ask("INVITE", done, offer, [*headers, proof])
            elif response.status == 200:
                side.remote, side.target = response["To"], response.target
                side.answered_at = time.monotonic()
                side.acknowledge(response, side.mine if call.kind.offers_late else "")
            else:
                side.acknowledge(response, "")
                self.wrong.append(f"{response} to the INVITE of {call}")

        side.ask("INVITE", done, offer, headers)

    # -- what comes ---------------------------------------------------------------------------------------------

    def take(self, message: Message) -> None:
        """Take a message."""
        if not message.headers:
            self.pings += 1
            return
        side = self.sides.get(message["Call-ID"])
        if side is not None:
            if message.status == 183 and message.every("RSeq"):
                self._confirm_early(side, message)
            side.take(message)
        elif message.method == "INVITE":
            self._called(message)
        elif message.method == "OPTIONS":
            self._refuse(message, 200)
        elif message.method not in {None, "ACK"}:
            self.wrong.append(f"{message} at {self.name}, of no call")
            self._refuse(message, 481)

    def _refuse(self, request: Message, status: int) -> None:
        text = compose(response_lines(request, status, "none", self.port.address))
        self.port.send(text.encode(), request.source)

    def _confirm_early(self, side: Side, response: Message) -> None:
        """Send PRACK for a reliable provisional response, once."""
        number = response["RSeq"]
        if side.asked[f"RSeq {number}"]:
            return
        side.asked[f"RSeq {number}"] += 1
        target, remote = side.target, side.remote
        side.target, side.remote = response.target, response["To"]
        side.simple("PRACK", headers=[f"RAck: {number} {response['CSeq']}"])
        side.target, side.remote = target, remote

    def _called(self, invite: Message) -> None:
        number = invite.start_line.partition("sip:")[2].partition("@")[0]
        call = self.calls[number]
        side = call.callee = Side(self, invite["Call-ID"], self.session(ANSWER))
        self.sides[side.call_id] = side
        side.local = f"{invite['To']};tag={side.tag}"
        side.remote = invite["From"]
        side.target = invite.target
        if call.kind.is_reliable:
            self._answer_reliably(side, invite, call)
        else:
            side.respond(invite, 180)
            self._answer(side, invite, call)

    def _answer_reliably(self, side: Side, invite: Message, call: "Call") -> None:
        side.respond(invite, 183, side.mine, ["Require: 100rel", "RSeq: 1"])

        def when_confirmed() -> None:
            if side.asked["PRACK"]:
                self._answer(side, invite, call)
            else:
                self.bench.after(0.02, when_confirmed)

        when_confirmed()

    def _answer(self, side: Side, invite: Message, call: "Call") -> None:
        headers = ["Allow: INVITE, ACK, BYE, CANCEL, UPDATE, INFO, PRACK"]
        if call.kind.refreshed_s:
            headers += [f"Session-Expires: {call.kind.refreshed_s};refresher=uac", "Require: timer"]
        # A reliable provisional response has had the answer; the 200 repeats it (RFC 3261 section 13.2.1).
        side.respond(invite, 200, side.mine, headers)
        side.answered_at = time.monotonic()


class Telephone(Party):
    """A telephone behind NAT: it registers, and over TCP it does so again whenever its connection is lost."""

    def __init__(self, bench: Bench, number: str, switch: Endpoint, address: Endpoint, transport: str) -> None:
        private = f"{BEHIND}.{int(number) % 250 + 2}:5060"
        super().__init__(bench, number, switch, address, transport, private)
        self.login = Login(number, "secret")
        self.is_registered = False
        self._register_id = f"register-{number}"
        self._sequence = 0
        self._asks: dict[str, Callable[[Message], None]] = {}

    def register(self) -> None:
        """Register, and answer the challenge."""
        self._ask_to_register("")

    def take(self, message: Message) -> None:
        """Take a message; responses to REGISTER belong to no call."""
        if message.headers and message.status is not None and message["CSeq"].endswith("REGISTER"):
            done = self._asks.pop(message["CSeq"], None)
            if done is not None and message.status >= 200:
                done(message)
            return
        super().take(message)

    def _line_closed(self, _remote: Endpoint) -> None:
        self.is_registered = False
        self.bench.after(_REGISTER_AGAIN_S, self._connect_again)

    def _connect_again(self) -> None:
        assert isinstance(self.port, TcpPort)
        if self.port.is_connected(self.switch):
            return
        if self.port.connect(self.switch):
            self.register()
        else:
            self.bench.after(_REGISTER_AGAIN_S, self._connect_again)

    def _ask_to_register(self, proof: str) -> None:
        self._sequence += 1
        cseq, uri = f"{self._sequence} REGISTER", f"sip:{self.switch}"
        lines = [
            f"REGISTER {uri} SIP/2.0",
            f"Via: SIP/2.0/{self.port.transport} {self.seen_as};rport;branch=z9hG4bK{self.name}-{self._sequence}",
            f"From: <sip:{self.name}@{self.switch.host}>;tag=register",
            f"To: <sip:{self.name}@{self.switch.host}>",
            f"Call-ID: {self._register_id}",
            f"CSeq: {cseq}",
            f"Contact: <{self.contact}>",
            "Expires: 600",
            "Max-Forwards: 70",
            *([proof] if proof else []),
        ]

        def done(response: Message) -> None:
            assert response.status is not None
            if response.status == 401 and not proof and self.login is not None:
                answer = answer_to(response, self.login, "REGISTER", uri)
                assert answer is not None
                self._ask_to_register(answer)
            else:
                self.is_registered = response.status == 200

        self._asks[cseq] = done
        self.port.send(compose(lines).encode(), self.switch)
