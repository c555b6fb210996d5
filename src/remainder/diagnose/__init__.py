"""WHY does it not work?  What this host can do, and whether servers are ready."""
