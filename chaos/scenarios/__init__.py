"""The scenarios: each starts a cluster, causes a fault, and compares.

broker      the broker restarts, loses its memory, is purged or unreachable
events      events doubled, shuffled; wrong clocks; a full disk
monitor     parts of the monitor are killed, stopped or absent
registry    the table of all scenarios
workers     workers are killed, stopped, shut down or absent
"""
