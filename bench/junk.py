"""``python -m bench.junk HOST PORT SOURCE RATE SECONDS``: datagrams that are no SIP, at an even rate."""

import socket
import sys
import time

SIZE = 400
BATCHES_A_SECOND = 500


def main() -> None:
    """Send, and tell how fast that was."""
    host, port, source, rate, seconds = sys.argv[1:]
    per_batch = int(rate) // BATCHES_A_SECOND
    junk = b"\x01" * SIZE
    sent = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((source, 0))
        sock.connect((host, int(port)))
        began = due = time.perf_counter()
        while due - began < float(seconds):
            for _ in range(per_batch):
                sock.send(junk)
            sent += per_batch
            due += 1 / BATCHES_A_SECOND
            pause = due - time.perf_counter()
            if pause > 0:
                time.sleep(pause)
    print(f"{sent / (time.perf_counter() - began):.0f} datagrams of junk a second from {source}")


if __name__ == "__main__":
    main()
