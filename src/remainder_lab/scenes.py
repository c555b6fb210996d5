"""The scenes there are.  A new one is a file and a line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Final

from remainder.errors import ConfigError
from remainder_lab.balanced import Balanced
from remainder_lab.cluster import cluster
from remainder_lab.ecmp import ecmp
from remainder_lab.one_service import one_service
from remainder_lab.return_path import return_path
from remainder_lab.standby_pair import standby_pair
from remainder_lab.whole_fleet import whole_fleet

Scene = Balanced
SceneFactory = Callable[..., AbstractContextManager[Scene]]

SCENES: Final[Mapping[str, SceneFactory]] = {
    "one-service": one_service,
    "standby-pair": standby_pair,
    "ecmp": ecmp,
    "cluster": cluster,
    "return-path": return_path,
    "whole-fleet": whole_fleet,
}


def scene(name: str) -> SceneFactory:
    """The scene of that name.  Raises ConfigError if there is none."""
    try:
        return SCENES[name]
    except KeyError:
        raise ConfigError(
            "scene", f"unknown scene {name!r}; expected one of {', '.join(SCENES)}"
        ) from None
