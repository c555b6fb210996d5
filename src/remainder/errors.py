"""Everything Remainder raises on purpose.

::

    RemainderError
    ├── ConfigError        the file (or a flow on the command line) is wrong
    ├── HostError          this machine lacks something, or says no
    │   └── Unsupported    the kernel or a library cannot do what is needed
    └── Disagreement       two parties that must give the same answer do not

Each message is one sentence for the user: where, what came, what was wanted,
what to do next.  The command line prints it and exits; there is no traceback.
"""


class RemainderError(Exception):
    """Everything this library raises on purpose."""


class ConfigError(RemainderError, ValueError):
    """Something a user wrote is wrong.

    ``where`` is the place, like ``service[1].servers[0].address``.
    It is a ValueError too: so a decoder takes it for what it is and adds the place.
    """

    def __init__(self, where: str, problem: str) -> None:
        self.where = where
        self.problem = problem
        super().__init__(f"{where}: {problem}" if where else problem)


class HostError(RemainderError):
    """This machine lacks something, or refused; the message says what to do next."""

    errno: int = 0
    """The kernel's number of the error behind it; 0 if there is none."""


class Unsupported(HostError):
    """The kernel or a library cannot do what is needed."""


class Disagreement(RemainderError):
    """Two parties that must give the same answer do not."""
