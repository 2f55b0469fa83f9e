"""The making of call ids from given time and randomness."""


def uuid7(wall_ms: int, entropy: bytes) -> str:
    """Make a version 7 UUID (RFC 9562 section 5.7) in text from a wall time and ten random bytes."""
    tail = int.from_bytes(entropy[:10], "big")
    high = (wall_ms & 0xFFFFFFFFFFFF) << 16 | 0x7000 | (tail >> 68) & 0xFFF
    low = 0x8000000000000000 | tail & 0x3FFFFFFFFFFFFFFF
    digits = f"{high:016x}{low:016x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
