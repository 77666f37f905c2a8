"""Replay for operators: gaps are filled and projections rebuilt from what the publishers' logs hold.

`replay` is the command. Nothing is said or called a second time: what was handled is never handled again by the same
store (the inbox knows), and what is rebuilt is rebuilt in a sandbox that nothing leaves.
"""

from deploy.ops.replay.command import replay

__all__ = ["replay"]
