"""`python -m bench.finish_store FOLDER`: wait until a store has built its columns and text index, so that a scenario
starts with a store that is up to date. It runs with the interpreter of any commit of the product."""

import sys

from bench.store_versions import finish_maintenance, open_writer


def finish(folder: str) -> None:
    writer = open_writer(folder)
    try:
        finish_maintenance(writer)
    finally:
        writer.close()


if __name__ == "__main__":
    finish(sys.argv[1])
