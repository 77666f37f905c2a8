"""The faults, by name. Each is a function that does its harm to a scene, lasts as long as the scene says, and undoes in
`finally` what it did.
"""

from chaos.faults import broker, messages, processes, scaling, store, upgrade
from chaos.faults.scene import Fault, Scene

_ALL = (*processes.ALL, *scaling.ALL, *upgrade.ALL, *broker.ALL, *store.ALL, *messages.ALL)
FAULTS: dict[str, Fault] = {one.name: one for one in _ALL}

__all__ = ["FAULTS", "Fault", "Scene"]
