"""``python -m bench.junk HOST PORT SOURCE RATE SECONDS [bye]``: datagrams that are not SIP, at an even rate.

With ``bye`` each is the BYE of a call that does not exist.
"""

import socket
import sys
import time

SIZE = 400
BATCHES_A_SECOND = 500
JUNK = b"\x01" * SIZE
BYE = (
    b"BYE sip:1@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK%d\r\nMax-Forwards: 70\r\n"
    b"From: <sip:1@127.0.0.1>;tag=theirs\r\nTo: <sip:2@127.0.0.1>;tag=x%d\r\nCall-ID: none@127.0.0.1\r\n"
    b"CSeq: 2 BYE\r\nContent-Length: 0\r\n\r\n"
)


def main() -> None:
    """Say that it begins, send, and print the rate reached."""
    host, port, source, rate, seconds, *what = sys.argv[1:]
    per_batch = int(rate) // BATCHES_A_SECOND
    sent = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((source, 0))
        sock.connect((host, int(port)))
        print(f"sends to {host}:{port}", flush=True)
        began = due = time.perf_counter()
        while due - began < float(seconds):
            for number in range(sent, sent + per_batch):
                sock.send(BYE % (number, number) if what else JUNK)
            sent += per_batch
            due += 1 / BATCHES_A_SECOND
            pause = due - time.perf_counter()
            if pause > 0:
                time.sleep(pause)
    kind = "BYEs to no call" if what else "junk"
    print(f"{sent / (time.perf_counter() - began):.0f} datagrams of {kind} a second from {source}")


if __name__ == "__main__":
    main()
