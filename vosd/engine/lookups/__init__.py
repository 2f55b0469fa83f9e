"""Questions of the set-up that other servers answer: number portability, the external redirect server, certificates."""
