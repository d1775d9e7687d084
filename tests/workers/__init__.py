"""A small application and real workers for it, for tests of what is asked of a live cluster."""
