"""One retryable effect each: load facts, decide purely, record."""
