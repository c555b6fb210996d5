"""The scenes there are.  A new one is a file and a line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Final

from remainder.errors import ConfigError
from remainder.lab.one_service import OneService, one_service

Scene = OneService
SceneFactory = Callable[..., AbstractContextManager[Scene]]

SCENES: Final[Mapping[str, SceneFactory]] = {
    "one-service": one_service,
}


def scene(name: str) -> SceneFactory:
    """The scene of that name.  Raises ConfigError if there is none."""
    try:
        return SCENES[name]
    except KeyError:
        raise ConfigError("scene", f"{name!r} came, wanted one of {', '.join(SCENES)}") from None
