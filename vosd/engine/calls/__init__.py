"""Running calls: set-up, refusal, failover and release."""
