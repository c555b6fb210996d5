"""What a driver loses of the frames that a program sends back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from remainder.kernel.host import Host
from remainder.messages import Warn

LOSSES_S: Final = 2.0
"""How often a driver is asked."""


@dataclass
class Losses:
    """As of the last look."""

    lost: int | None = None
    losing: bool = False
    counted_s: float = 0.0

    def look(self, host: Host, name: str, warn: Warn) -> None:
        """Name what the driver loses, once until it loses nothing more.  Raises HostError."""
        if host.now_s() - self.counted_s < LOSSES_S:
            return
        now = host.lost(name)
        grown = 0 if now is None or self.lost is None else now - self.lost
        if grown > 0 and not self.losing:
            warn(
                f"{name} dropped {grown} forwarded frames in native mode: its transmit queues are "
                f"full, or it is a veth whose peer has no XDP program"
            )
        self.counted_s, self.losing, self.lost = host.now_s(), grown > 0, now
