"""Many calls at once, each of whose parties sends RTP and listens."""

from doubles.sockets.peer import OutgoingCall, Peer
from doubles.sockets.rtp import RtpPeer
from e2e.addresses import CUSTOMERS, VENDORS
from e2e.stage import Stage
from e2e.test_media import described, place


class ManyCalls:
    """Calls between two peers that have one socket for SIP each; every party has one for RTP."""

    def __init__(self, stage: Stage, customer: Peer, vendor: Peer, count: int) -> None:
        self.peers = (customer, vendor)
        self.calls: list[OutgoingCall] = []
        self._own: dict[tuple[Peer, str], OutgoingCall] = {}
        """Calls of the customer by their keys."""
        self.deaf = 0
        """Parties that have heard nothing when they were asked last."""
        self.parties: dict[tuple[Peer, str], RtpPeer] = {}
        """By the Call-ID on their side."""
        self.places: dict[tuple[Peer, str], tuple[str, int]] = {}
        """The place that each party was asked to send to last."""
        self.pairs: list[tuple[RtpPeer, tuple[Peer, str], RtpPeer]] = []
        """A party, the key of its place, and the party that has to hear it."""
        for _ in range(count):
            caller, callee = RtpPeer(CUSTOMERS["acme"], ssrc=1), RtpPeer(VENDORS["carrier-a"].host, ssrc=2)
            call = OutgoingCall(customer, stage.address, stage.number("4410"))
            self.calls.append(call)
            self._own[customer, call.call_id] = call
            call.send(call.request("INVITE", body=described(caller)))
            incoming = vendor.expect("INVITE", passing={"ACK"})
            vendor.reply(incoming, 200, tag=f"v-{call.call_id}", body=described(callee))
            one, other = (customer, call.call_id), (vendor, incoming["Call-ID"])
            self.parties |= {one: caller, other: callee}
            self.places |= {one: place(call.answered()), other: place(incoming)}
            self.pairs += [(caller, one, callee), (callee, other, caller)]

    def follow_offers(self) -> None:
        """Answer the re-INVITEs that have arrived, and note their places; acknowledge answers that come again.

        A switch that was killed may not have noted an ACK that it had received.
        """
        for peer in self.peers:
            while (message := peer.receive(0.01)) is not None:
                key = (peer, message["Call-ID"])
                if message.method == "INVITE":
                    self.places[key] = place(message)
                    peer.reply(message, 200, body=described(self.parties[key]))
                elif message.status == 200 and message["CSeq"] == "1 INVITE" and key in self._own:
                    self._own[key].send(self._own[key].request("ACK"))

    def hang_up(self) -> None:
        """End all calls from the customer's side; return when the switch has answered each BYE."""
        customer, vendor = self.peers
        for number, call in enumerate(self.calls):
            call.send(call.request("BYE", 2))
            if number % 20 == 19 or call is self.calls[-1]:
                ended = 0
                while ended < number % 20 + 1:
                    message = customer.receive(20)
                    assert message is not None, "the switch answers each BYE"
                    ended += message.status == 200 and message["CSeq"] == "2 BYE"
                    while (request := vendor.receive(0.005)) is not None:
                        if request.method == "BYE":
                            vendor.reply(request, 200)

    def are_heard(self) -> bool:
        """Follow offers, then let every party send a packet; return whether each has heard the other."""
        self.follow_offers()
        for sender, key, _ in self.pairs:
            sender.send(self.places[key])
        self.follow_offers()
        self.deaf = sum(not listener.taken() for _, _, listener in self.pairs)
        return not self.deaf

    def close(self) -> None:
        for party in self.parties.values():
            party.close()
