"""The queue of received messages, and what is refused under load."""
