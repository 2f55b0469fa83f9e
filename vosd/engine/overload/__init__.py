"""Queues of received messages, and refusal of new calls under load."""
