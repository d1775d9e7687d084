"""The text format of Prometheus, version 0.0.4. Written by ourselves: with 100,000 lines the client library takes a
quarter of a second, as every value is an object there, and every line is put together anew each time."""

from collections.abc import Iterable, Mapping
from math import inf
from typing import Final

from prometheus_client.utils import floatToGoString

from flower.metrics.families import Family

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def head(family: Family, suffix: str = "") -> bytes:
    """The lines that stand before its samples. `_created` is a family of its own in this format."""
    kind = "gauge" if suffix == "_created" else family.kind
    name = f"{family.name}{suffix}"
    return f"# HELP {name} {family.sentence}\n# TYPE {name} {kind}\n".encode()


def labels(**values: str) -> bytes:
    """`a="1",b="2"`, in the order of their names."""
    text = ",".join(f'{name}="{escaped(value)}"' for name, value in sorted(values.items()))
    return text.encode("utf-8", "backslashreplace")


def escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def number(value: float) -> bytes:
    return str(floatToGoString(value)).encode()  # type: ignore[no-untyped-call]


def gauge(family: Family, values: Mapping[bytes, float | None]) -> bytes:
    """The family with a value for each `labels`; None is left out."""
    lines = [line(family.name, where, value) for where, value in values.items() if value is not None]
    return b"".join([head(family), *lines])


def line(name: str, where: bytes, value: float) -> bytes:
    return (
        b"%b{%b} %b\n" % (name.encode(), where, number(value)) if where else b"%b %b\n" % (name.encode(), number(value))
    )


class Buckets:
    """How the lines of a histogram with these bounds are written."""

    def __init__(self, family: Family, bounds: Iterable[float]) -> None:
        self.bounds: tuple[float, ...] = (*sorted(bound for bound in bounds if bound < inf), inf)
        name = family.name.encode()
        each = [b'%b_bucket{le="%b",WHERE} %%d.0\n' % (name, number(bound)) for bound in self.bounds]
        self._template = b"".join([*each, name, b"_count{WHERE} %d.0\n", name, b"_sum{WHERE} %b\n"])
        self._created = name + b"_created{%b} %b\n"

    def template(self, where: bytes) -> bytes:
        """For `filled`: most of it does not change as long as the labels are the same."""
        return self._template.replace(b"WHERE", where.replace(b"%", b"%%"))

    @staticmethod
    def filled(template: bytes, cumulative: list[int], total: float) -> bytes:
        """`cumulative` as `Durations.cumulative` gives it for `bounds`."""
        return template % (*cumulative, cumulative[-1], number(total))

    def created(self, where: bytes, at: float) -> bytes:
        return self._created % (where, number(at))
