"""Transactions (RFC 3261 section 17 with RFC 6026): what is sent again, what is absorbed, when to give up."""
