"""Key exchanges of TLS that take long: left out, because all calls wait for a handshake on the event loop.

A peer that proves nothing and computes nothing can ask for them (CVE-2002-20001). With Python 3.11 and OpenSSL 3.0 one
over a finite field of 8,192 bits (RFC 7919) took 150 ms, and one over 10,000 bits, which a server of TLS 1.2 may name,
took a second; by curves it is 1 to 5 ms.
"""

import ctypes
import ssl
import sys
from functools import cache
from typing import Final

_CURVES: Final = "X25519:P-256:X448:P-521:P-384"
"""Groups of OpenSSL 3.0 without finite fields. Certificates of TLS 1.2 need theirs in this list, too."""
_COMMON_CURVE: Final = "prime256v1"
"""P-256, which every peer has (RFC 8446 section 9.1)."""
_QUICK: Final = (3, 5)
"""OpenSSL from this version on agrees by default on no finite field above 3,072 bits, and has groups of its own."""
_SET_GROUPS_LIST: Final = 92
"""SSL_CTRL_SET_GROUPS_LIST of OpenSSL's ssl.h."""


def leave_out_slow_ones(context: ssl.SSLContext) -> None:
    """Have new connections agree on their keys by curves alone, or by RSA in TLS 1.2."""
    if ssl.OPENSSL_VERSION_INFO < _QUICK and not use_groups(context, _CURVES):
        context.set_ecdh_curve(_COMMON_CURVE)
    suites = [each for each in context.get_ciphers() if each["protocol"] != "TLSv1.3"]
    others = [each["name"] for each in suites if not each["kea"].startswith("kx-dhe")]
    if 0 < len(others) < len(suites):
        context.set_ciphers(":".join(others))


def use_groups(context: ssl.SSLContext, names: str) -> bool:
    """Set the groups for key exchanges of new connections; return whether this build of Python lets them be set.

    Python has a method for it from 3.15 on. Before, it is done by the library that Python itself is linked to.
    """
    try:
        control, forget_error = openssl().SSL_CTX_ctrl, openssl().ERR_clear_error
    except AttributeError:  # OpenSSL is a part of Python's program
        return False
    control.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_char_p)
    control.restype = ctypes.c_long
    is_done = bool(control(openssl_part(context), _SET_GROUPS_LIST, 0, names.encode()) == 1)
    if not is_done:
        forget_error()
    return is_done


@cache
def openssl() -> ctypes.CDLL:
    """Return the library that Python itself is linked to; it has no functions where OpenSSL is a part of Python."""
    return ctypes.CDLL(getattr(sys.modules["_ssl"], "__file__", None))


def openssl_part(context: ssl.SSLContext) -> ctypes.c_void_p:
    """Return OpenSSL's part of a context: the first field behind the object's head."""
    return ctypes.c_void_p.from_address(id(context) + object.__basicsize__)
