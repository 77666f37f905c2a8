"""The people of the shop, as clients of its HTTP API: what the demo, the journeys and the benchmarks are made of."""
