"""Rules of nftables for a host of the lab."""

from __future__ import annotations

from remainder.errors import HostError
from remainder_lab import tools
from remainder_lab.host import Host


def load_rules(host: Host, rules: str) -> None:
    """Add rules to those of a host.  Raises HostError with nft's words if it refuses them."""
    done = host.run([tools.find("nft"), "-f", "-"], given=rules)
    if done.returncode:
        raise HostError(f"nft rejected the rules on {host.name}: {done.stderr.strip()}")
