"""The door itself."""

from __future__ import annotations

from shared.web.door import Door

door = Door("catalog", __name__, description="Categories, products, search and reviews")
