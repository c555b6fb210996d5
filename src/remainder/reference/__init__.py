"""WHAT should the kernel have done?  The model of whole frames; it shares nothing with the C.

model.py is docs/packets.md as a program; parse.py and neighbour.py read frames for
it, and frame.py makes them.
"""

from remainder.reference.frame import frame_of
from remainder.reference.model import Node, Result, process, read_flow
from remainder.reference.sockets import Knowledge, Sockets, Tcp

__all__ = ["Knowledge", "Node", "Result", "Sockets", "Tcp", "frame_of", "process", "read_flow"]
