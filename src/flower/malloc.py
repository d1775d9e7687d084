"""The memory allocator of the C library: its settings, and the return of free memory."""

import contextlib
import ctypes

_ARENA_MAX = -8  # M_ARENA_MAX of malloc.h


def limit_malloc_arenas() -> None:
    """Limit glibc's malloc to two arenas shared by all threads; no effect with another C library. By default glibc
    creates up to eight arenas per processor, and memory that a thread has used stays in its arena. With ten threads
    that occasionally compute on large arrays, such leftovers would be most of the resident memory of the process."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 2)


def release_free_memory() -> None:
    """Return free memory inside the arenas to the system, which takes some milliseconds; no effect with another C
    library. By itself glibc returns only what is free at the end of an arena: after queries of large arrays, a sixth of
    the memory of a web server is free, and remains resident."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
