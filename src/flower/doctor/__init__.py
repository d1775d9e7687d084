"""Checks of an installation, for `flower doctor`. They connect as the server does, and change nothing.

models           results of checks
examination      the input of the checks, and what earlier checks found
runner           runs the checks, each with its own time limit
configuration    variables, options and the configuration file
system           installed packages, address in a container, descriptors
storage          the data directory
application      loading the application
broker           the broker: reachable, sign-in, TLS, permissions
workers          events, heartbeats and clocks of workers
event_probe      receives the events of a few seconds
result_backend   the result backend
versions         versions with known faults
known_faults     the table of known faults
checks           the table of checks
"""
