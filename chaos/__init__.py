"""Proof under fire: orders flow through real servers while one thing after another breaks, and nothing may be lost,
doubled, oversold or out of order. `make chaos` runs it; `docs/reliability.md` says what is promised and what was run.
"""
