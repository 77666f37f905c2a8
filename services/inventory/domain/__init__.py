"""What is true of stock and of what is promised to orders. Pure: no I/O, no Flask, no SQL."""
