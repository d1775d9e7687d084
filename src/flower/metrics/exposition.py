"""The text format of Prometheus, version 0.0.4. Written by ourselves: with 100,000 lines the client library takes a
quarter of a second, as every value is an object there, and every line is put together anew each time."""

from collections.abc import Iterable, Mapping
from math import inf
from typing import Final

from prometheus_client.utils import floatToGoString

from flower.metrics.definitions import MetricFamily

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def format_header(family: MetricFamily, suffix: str = "") -> bytes:
    """The lines that stand before its samples. `_created` is a family of its own in this format."""
    kind = "gauge" if suffix == "_created" else family.kind
    name = f"{family.name}{suffix}"
    return f"# HELP {name} {family.help}\n# TYPE {name} {kind}\n".encode()


def format_labels(**values: str) -> bytes:
    """`a="1",b="2"`, in the order of their names."""
    text = ",".join(f'{name}="{escape_label_value(value)}"' for name, value in sorted(values.items()))
    return text.encode("utf-8", "backslashreplace")


def escape_label_value(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def format_sample_value(value: float) -> bytes:
    return str(floatToGoString(value)).encode()  # type: ignore[no-untyped-call]


def format_gauge(family: MetricFamily, values: Mapping[bytes, float | None]) -> bytes:
    """The family with a value for each `labels`; None is left out."""
    lines = [format_sample(family.name, where, value) for where, value in values.items() if value is not None]
    return b"".join([format_header(family), *lines])


def format_sample(name: str, where: bytes, value: float) -> bytes:
    return (
        b"%b{%b} %b\n" % (name.encode(), where, format_sample_value(value))
        if where
        else b"%b %b\n" % (name.encode(), format_sample_value(value))
    )


class HistogramTemplate:
    """How the lines of a histogram with these bounds are written."""

    def __init__(self, family: MetricFamily, bounds: Iterable[float]) -> None:
        self.bounds: tuple[float, ...] = (*sorted(bound for bound in bounds if bound < inf), inf)
        name = family.name.encode()
        each = [b'%b_bucket{le="%b",WHERE} %%d.0\n' % (name, format_sample_value(bound)) for bound in self.bounds]
        self._template = b"".join([*each, name, b"_count{WHERE} %d.0\n", name, b"_sum{WHERE} %b\n"])
        self._created = name + b"_created{%b} %b\n"

    def with_labels(self, where: bytes) -> bytes:
        """For `filled`: most of it does not change as long as the labels are the same."""
        return self._template.replace(b"WHERE", where.replace(b"%", b"%%"))

    @staticmethod
    def fill(template: bytes, cumulative: list[int], total: float) -> bytes:
        """`cumulative` as `Durations.cumulative` gives it for `bounds`."""
        return template % (*cumulative, cumulative[-1], format_sample_value(total))

    def format_created(self, where: bytes, at: float) -> bytes:
        return self._created % (where, format_sample_value(at))
