"""What the fake provider and the fake carrier have in common.

`book` keeps rows, `clock` tells business time, `switches` decides what goes wrong, `postman` carries signed
callbacks, `bodies` reads requests, `desk` puts these together, `doors` is the shared HTTP surface and
`serve` runs the result.
"""

from deploy.sandbox.desk.bodies import Body, Field, Refusal
from deploy.sandbox.desk.book import Tx
from deploy.sandbox.desk.desk import Desk, Json, Settings, Trade
from deploy.sandbox.desk.serve import Local, main

__all__ = ["Body", "Desk", "Field", "Json", "Local", "Refusal", "Settings", "Trade", "Tx", "main"]
