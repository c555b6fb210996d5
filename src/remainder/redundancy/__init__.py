"""WHO is in charge, and who tells the network?

Rule: pure; the calculation does not know of it, and no packet waits for it.
"""
