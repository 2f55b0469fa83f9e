"""A telephone on a socket or connection: it registers with its password, calls, answers, and sends nothing unasked."""

from itertools import count
from typing import Final

from doubles.sockets.login import Login, answer_to
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import ANSWER, OFFER, Message, OutgoingCall, Peer, compose

_numbers: Final = count(1)


class Telephone:
    """One telephone; it writes its own address into every message, behind NAT or not."""

    def __init__(
        self, peer: Peer, switch: Endpoint, login: Login, place: str | None = None, parameters: str = ""
    ) -> None:
        """``place`` is what stands behind ``sip:user@`` in its Contact where that is not the peer's.

        ``parameters`` stand behind the Contact.
        """
        self.peer = peer
        self._place = place or peer.contact
        self._parameters = parameters
        self._switch = switch
        self._login = login
        self._register_sequence = 0
        self._call_id = f"register-{next(_numbers)}@{peer.address.host}"
        self.offer = OFFER.replace("192.0.2.10", peer.address.host)
        self.answer = ANSWER.replace("192.0.2.20", peer.address.host)

    def register(self, expires_s: int = 600) -> Message:
        """Register, answering the challenge; return the 200."""
        response = self._ask_to_register(expires_s)
        proof = answer_to(response, self._login, "REGISTER", self._uri)
        assert proof is not None, f"no challenge: {response}"
        response = self._ask_to_register(expires_s, proof)
        assert response.status == 200, response
        return response

    def call(self, callee: str) -> OutgoingCall:
        """Make a call and answer the challenge."""
        call = OutgoingCall(self.peer, self._switch, callee, caller=self._login.username)
        call.send(call.request("INVITE", body=self.offer))
        challenge = call.refused()
        proof = answer_to(challenge, self._login, "INVITE", call.target)
        assert proof is not None, f"no challenge: {challenge}"
        call.remote_to = f"<{call.target}>"
        call.send(call.request("INVITE", 2, branch="proven", headers=[proof], body=self.offer))
        return call

    def ask(self, method: str, user: str, *headers: str, body: str = "", kind: str = "text/plain") -> Message:
        """Send a request outside of a dialog, answering the challenge; return its final response."""
        uri, here, name = f"sip:{user}@{self._switch}", self.peer.address, self._login.username
        call_id, proof = f"{method}-{next(_numbers)}@{here.host}", ""
        for number in (1, 2):
            lines = [
                f"{method} {uri} SIP/2.0",
                f"Via: SIP/2.0/{self.peer.transport} {here};rport;branch=z9hG4bK-{call_id}-{number}",
                f"From: <sip:{name}@{self._switch.host}>;tag=asking",
                f"To: <sip:{user}@{self._switch.host}>",
                f"Call-ID: {call_id}",
                f"CSeq: {number} {method}",
                "Max-Forwards: 70",
                *headers,
                *([proof] if proof else []),
            ]
            response = self.peer.ask(compose(lines, body, kind), self._switch, f"{number} {method}", call_id)
            proof = answer_to(response, self._login, method, uri) or ""
            if not proof:
                break
        return response

    def talk(self, call: OutgoingCall) -> None:
        """Wait until a call is answered, and acknowledge that."""
        response = self.peer.final_response("2 INVITE", call.call_id)
        assert response.status == 200, response
        call.adopt(response)
        call.send(call.request("ACK", 2))

    def pick_up(self, within_s: float = 40.0) -> "TakenCall":
        """Wait for a call and answer it at once."""
        invite = self.peer.expect("INVITE", within_s, passing=["HELLO"])
        self.peer.reply(invite, 200, tag="telephone", headers=["Content-Type: application/sdp"], body=self.answer)
        self.peer.expect("ACK", passing=["HELLO", "INVITE"])
        return TakenCall(self, invite)

    def kept_alive(self) -> int:
        """Return how many keep-alives came since the last look; anything else that came is lost."""
        heard = 0
        while (message := self.peer.receive(0)) is not None:
            heard += message.start_line == "HELLO"
        return heard

    @property
    def _uri(self) -> str:
        return f"sip:{self._switch}"

    def _ask_to_register(self, expires_s: int, *headers: str) -> Message:
        self._register_sequence += 1
        number, user = self._register_sequence, self._login.username
        lines = [
            f"REGISTER {self._uri} SIP/2.0",
            f"Via: SIP/2.0/{self.peer.transport} {self.peer.sent_by};rport;branch=z9hG4bK-{self._call_id}-{number}",
            f"From: <sip:{user}@{self._switch.host}>;tag=register",
            f"To: <sip:{user}@{self._switch.host}>",
            f"Call-ID: {self._call_id}",
            f"CSeq: {number} REGISTER",
            f"Contact: <sip:{user}@{self._place}>{self._parameters}",
            f"Expires: {expires_s}",
            "Max-Forwards: 70",
            *headers,
        ]
        self.peer.send(compose(lines), self._switch)
        return self.peer.final_response(f"{number} REGISTER", self._call_id)


class TakenCall:
    """A call that the telephone has answered."""

    def __init__(self, telephone: Telephone, invite: Message) -> None:
        self.invite = invite
        self._telephone = telephone
        self._sequence = 0

    def ask(self, method: str, body: str = "") -> Message:
        """Send a request within the call and return its final response, acknowledged where it wants that."""
        self._sequence += 1
        peer, invite = self._telephone.peer, self.invite
        request = self._request(method, body)
        response = peer.ask(request, invite.source, f"{self._sequence} {method}", invite["Call-ID"])
        if method == "INVITE":
            peer.send(self._request("ACK"), invite.source)
        return response

    def _request(self, method: str, body: str = "") -> str:
        peer, invite = self._telephone.peer, self.invite
        branch = f"z9hG4bK-{invite['Call-ID']}-{self._sequence}-{method}"
        lines = [
            f"{method} {invite.target} SIP/2.0",
            f"Via: SIP/2.0/{peer.transport} {peer.sent_by};rport;branch={branch}",
            f"From: {invite['To']};tag=telephone",
            f"To: {invite['From']}",
            f"Call-ID: {invite['Call-ID']}",
            f"CSeq: {self._sequence} {method}",
            f"Contact: <sip:telephone@{peer.contact}>",
            "Max-Forwards: 70",
        ]
        return compose(lines, body)
