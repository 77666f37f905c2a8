"""Replay, for developers: what was said is fed to the same code again, in a sandbox, and compared."""
