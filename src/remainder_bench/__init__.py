"""HOW FAST?  Cases are data.

What they need of Linux is in remainder.kernel, in the lab, and in the twins of
the programs in bpf/ (stopwatch.py, flood_programs.py).
"""
