"""WHY does it not work?  What this host can do, and whether the servers are ready."""
