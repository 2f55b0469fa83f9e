"""Relay of media: worker processes that forward RTP, and the switch's side of them."""
