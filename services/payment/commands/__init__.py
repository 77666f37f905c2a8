"""What we do when asked: pay, give back, release, and the outside calls that belong to them."""
