"""How Caravan is put together and run."""
