"""Where tasks are kept. `port` says what a store can do; `opening` makes one from a path."""
