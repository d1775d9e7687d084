"""Detection of a container, in which a loopback address is unreachable from outside."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

#: Files that Docker and Podman create in every container.
_MARKER_FILES: Final = (".dockerenv", "run/.containerenv")


def is_in_container(environment: Mapping[str, str], root: Path = Path("/"), pid: int | None = None) -> bool:
    """Whether this process runs in a container, as far as files, environment and process number show."""
    return (
        any((root / name).exists() for name in _MARKER_FILES)
        or "KUBERNETES_SERVICE_HOST" in environment
        or (os.getpid() if pid is None else pid) == 1
    )
