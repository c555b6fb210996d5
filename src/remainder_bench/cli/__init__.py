"""The command of this package; `remainder` finds it by its entry point."""
