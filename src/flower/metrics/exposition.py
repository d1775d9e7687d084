"""The Prometheus text format, version 0.0.4. The client library is not used for it: with 100,000 lines it takes a
quarter of a second, because every value is an object and every line is formatted for each request."""

from collections.abc import Iterable, Mapping
from math import inf
from typing import Final

from prometheus_client.utils import floatToGoString

from flower.metrics.definitions import MetricFamily

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def format_header(family: MetricFamily, suffix: str = "") -> bytes:
    """The HELP and TYPE lines. `_created` is a family of its own in this format."""
    kind = "gauge" if suffix == "_created" else family.kind
    name = f"{family.name}{suffix}"
    return f"# HELP {name} {family.help}\n# TYPE {name} {kind}\n".encode()


def format_labels(**values: str) -> bytes:
    """`a="1",b="2"`, sorted by label name."""
    text = ",".join(f'{name}="{escape_label_value(value)}"' for name, value in sorted(values.items()))
    return text.encode("utf-8", "backslashreplace")


def escape_label_value(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def format_sample_value(value: float) -> bytes:
    return str(floatToGoString(value)).encode()  # type: ignore[no-untyped-call]


def format_gauge(family: MetricFamily, values: Mapping[bytes, float | None]) -> bytes:
    """The family with one sample for each set of labels (see `format_labels`); values of None are omitted."""
    lines = [format_sample(family.name, labels, value) for labels, value in values.items() if value is not None]
    return b"".join([format_header(family), *lines])


def format_sample(name: str, labels: bytes, value: float) -> bytes:
    number = format_sample_value(value)
    return b"%b{%b} %b\n" % (name.encode(), labels, number) if labels else b"%b %b\n" % (name.encode(), number)


class HistogramTemplate:
    """The lines of a histogram with these bucket bounds, as `%` templates."""

    def __init__(self, family: MetricFamily, bounds: Iterable[float]) -> None:
        self.bounds: tuple[float, ...] = (*sorted(bound for bound in bounds if bound < inf), inf)
        name = family.name.encode()
        lines = [b'%b_bucket{le="%b",LABELS} %%d.0\n' % (name, format_sample_value(bound)) for bound in self.bounds]
        self._template = b"".join([*lines, name, b"_count{LABELS} %d.0\n", name, b"_sum{LABELS} %b\n"])
        self._created = name + b"_created{%b} %b\n"

    def with_labels(self, labels: bytes) -> bytes:
        """The template for `fill`. It stays valid as long as the labels do not change."""
        return self._template.replace(b"LABELS", labels.replace(b"%", b"%%"))

    @staticmethod
    def fill(template: bytes, cumulative: list[int], total: float) -> bytes:
        """`cumulative` are the counts of `DurationHistogram.cumulative` for `bounds`."""
        return template % (*cumulative, cumulative[-1], format_sample_value(total))

    def format_created(self, labels: bytes, created_at: float) -> bytes:
        return self._created % (labels, format_sample_value(created_at))
