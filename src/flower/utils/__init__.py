"""Import paths of Flower that other programs and configuration files use: aliases only.

tasks     task lists and dicts
search    search functions
template  formatting of values in `format_task`
broker    queue lengths of a broker
"""
