"""WHO is active, and who announces it?

Rule: pure; the calculation does not know of it, and no packet waits for it.
"""
