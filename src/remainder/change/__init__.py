"""WHAT moves when a file changes, and who still has a chance?  And edits of a file."""
