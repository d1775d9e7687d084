"""The limit of open file descriptors of this process."""

import contextlib
import resource
from typing import Final

#: Used where the hard limit is infinite, which most kernels do not accept as a soft limit.
MAX_DESCRIPTORS: Final = 1_048_576
#: What macOS accepts if the hard limit is infinite.
_FALLBACK_DESCRIPTORS: Final = 10_240


def raise_descriptor_limit() -> int:
    """Raise the soft limit to the hard limit and return the limit that applies now. Child processes inherit it.

    Shells and service managers set a soft limit of 1,024 for programs that use `select`; Bellflower does not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MAX_DESCRIPTORS
    wanted = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else hard
    for limit in (wanted, _FALLBACK_DESCRIPTORS):
        if limit > soft:
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
                return limit
    return soft
