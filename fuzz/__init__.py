"""Fuzz targets: functions that take arbitrary bytes and must neither raise nor take long.

targets   the functions, by name
corpus/   inputs by target, which `make test` runs too
__main__  `make fuzz`: runs the targets with Atheris, guided by the coverage of the code
"""
