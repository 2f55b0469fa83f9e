"""Marks sockets with a traffic class; if the kernel refuses, traffic goes on unmarked."""

import socket

import structlog

from vosd.net.marking import TrafficClass

_log = structlog.get_logger()


class Marker:
    """Marks sockets with one class; if the kernel refuses, traffic goes on unmarked."""

    def __init__(self, traffic_class: TrafficClass) -> None:
        self.traffic_class = traffic_class
        self._is_refused = False

    def mark(self, sock: socket.socket) -> None:
        """Mark the packets of ``sock``; a refusal is logged once."""
        version6 = sock.family == socket.AF_INET6
        level, option = (socket.IPPROTO_IPV6, socket.IPV6_TCLASS) if version6 else (socket.IPPROTO_IP, socket.IP_TOS)
        try:
            sock.setsockopt(level, option, self.traffic_class.byte)
        except OSError as error:
            if not self._is_refused:
                _log.warning("packets_not_marked", wanted=self.traffic_class.name, error=str(error))
            self._is_refused = True
