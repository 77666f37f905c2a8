"""The faults, by name. Each is a function that does its harm to a scene, lasts as long as the scene says, and undoes in
`finally` what it did.
"""

from chaos.faults import broker, messages, processes, store
from chaos.faults.scene import Fault, Scene

FAULTS: dict[str, Fault] = {one.name: one for one in (*processes.ALL, *broker.ALL, *store.ALL, *messages.ALL)}

__all__ = ["FAULTS", "Fault", "Scene"]
