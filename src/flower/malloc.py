"""Configures the memory allocator of the C library."""

import contextlib
import ctypes

_ARENA_MAX = -8  # M_ARENA_MAX of malloc.h


def limit_malloc_arenas() -> None:
    """Limit glibc's malloc to two arenas shared by all threads; no effect with another C library. By default glibc
    creates up to eight arenas per processor, and memory that a thread has used stays in its arena. With ten threads
    that occasionally compute on large arrays, such leftovers would be most of the resident memory of the process."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 2)
