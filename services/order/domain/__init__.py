"""What is true about quotes, groups and orders. Pure: no I/O, no clock, no SQL."""
