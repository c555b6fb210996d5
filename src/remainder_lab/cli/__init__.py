"""The commands of this package; `remainder` finds them by their entry points."""
