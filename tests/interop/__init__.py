"""Calls between the switch and SIP software that other people wrote; ``docs/interop.md`` tells what came of it."""
