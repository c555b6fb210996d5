"""Everything Remainder raises on purpose.

::

    RemainderError
    ├── ConfigError        the file (or a flow on the command line) is wrong
    ├── HostError          this host lacks something, or refused
    │   └── Unsupported    the kernel or a library cannot do what is needed
    └── Disagreement       two parties that must give the same answer do not

Each message is one sentence for the user: where, what was found, what was
expected, what to do next.  The command line prints it and exits without a
traceback.  A message that operators look up has an ``id`` of messages.py.
"""


class RemainderError(Exception):
    """Everything this library raises on purpose."""

    id: str | None = None
    """a key of ``messages.MESSAGES``; None for most errors, whose sentence says it all"""

    several_lines: bool = False
    """lines that a process said follow the sentence, as in the lab; else it is one line"""

    def __init__(self, *arguments: object, id: str | None = None) -> None:
        self.id = id
        super().__init__(*arguments)


class ConfigError(RemainderError, ValueError):
    """Something a user wrote is wrong.

    ``where`` is the place, like ``service[1].servers[0].address``.
    Also a ValueError, so that msgspec catches it and adds the place.
    """

    def __init__(self, where: str, problem: str, *, id: str | None = None) -> None:
        self.where = where
        self.problem = problem
        super().__init__(f"{where}: {problem}" if where else problem, id=id)


class HostError(RemainderError):
    """This host lacks something, or refused; the message says what to do next."""

    errno: int = 0
    """The kernel's errno behind it; 0 if there is none."""


class Unsupported(HostError):
    """The kernel or a library cannot do what is needed."""


class Disagreement(RemainderError):
    """Two parties that must give the same answer do not."""
