"""How the C library hands out memory in our processes."""

import contextlib
import ctypes

_ARENA_MAX = -8  # M_ARENA_MAX of malloc.h


def limit_malloc_arenas() -> None:
    """Let all threads take memory from two pools, on systems with the GNU C library. By itself it makes up to eight for
    each processor, and what a thread has used once stays with its pool: with ten threads that compute on large arrays
    now and then, most of what a process seems to need is such leftovers."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 2)
