"""Text of the URL-safe alphabet without padding, as JSON Web Tokens have it (RFC 7515 section 2)."""

from base64 import b64decode, urlsafe_b64encode


def encoded(content: bytes) -> str:
    """Return bytes as text without padding."""
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """Return the bytes of a text; raises ValueError where the text is no base64."""
    return b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
