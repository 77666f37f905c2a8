"""What the platform costs, measured on the stack in one run: `python -m benchmarks`. See docs/performance.md."""
