"""`python -m bench.settle FOLDER`: let a store finish what it does when nothing else happens, so that a measure begins
with one that has been there for a while. It runs with the interpreter of any commit of the product."""

import sys

from flower.store.factory import open_writer


def settle(folder: str) -> None:
    writer = open_writer(folder)
    try:
        # builds before columns have nothing to wait for
        getattr(writer, "settle", lambda: None)()
    finally:
        writer.close()


if __name__ == "__main__":
    settle(sys.argv[1])
