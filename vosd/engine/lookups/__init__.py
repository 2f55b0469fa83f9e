"""Questions of the set-up that other servers answer: number portability, and the external redirect server."""
