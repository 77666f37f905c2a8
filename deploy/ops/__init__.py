"""What operators see and do across services: the one place, beside the sandbox, that reads every store."""
