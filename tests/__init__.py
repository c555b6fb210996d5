"""The tests, and what they share: frames.py and strategies.py."""
