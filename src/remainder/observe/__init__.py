"""WHAT runs, and do nodes agree?  Reports of data planes, and the state files of nodes."""
