"""What is true about money and risk. Pure: no I/O, no clock, no SQL."""
