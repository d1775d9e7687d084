"""Helpers of all stores: values of a facet, their order, and the bucket of a time."""

from collections.abc import Iterable, Mapping, Sequence
from heapq import nsmallest
from typing import Any, Final

from flower.errors import InvalidRequest
from flower.fingerprint import compute_fingerprint
from flower.records import Task
from flower.store.query_results import FACETS, TIME_KEYS, BucketSpan, Facet, FacetCounts, FacetValue

#: More buckets than a chart can show. The limit exists because spans come from requests.
MAX_SPAN_BUCKETS: Final = 10_000


def facet_value(task: Task, facet: Facet) -> str | None:
    match facet:
        case "exception" | "failure":
            group_fingerprint = compute_fingerprint(task.exception, task.traceback)
            return (
                None
                if group_fingerprint is None
                else group_fingerprint.exception
                if facet == "exception"
                else group_fingerprint.id
            )
        case "worker":
            return task.hostname
        case field:
            value: str | None = getattr(task, field)
            return value


def validate_facets(facets: Iterable[str]) -> tuple[Facet, ...]:
    """The facets without duplicates. Raises InvalidRequest."""
    known: Mapping[str, Facet] = {facet: facet for facet in FACETS}
    unique = tuple(dict.fromkeys(facets))
    unknown = [facet for facet in unique if facet not in known]
    if unknown:
        raise InvalidRequest(f"Unknown facet '{unknown[0]}'", hint=f"valid: {', '.join(FACETS)}")
    return tuple(known[facet] for facet in unique)


def sort_by_frequency(counts: Mapping[str | None, int]) -> list[tuple[str | None, int]]:
    """Most frequent first, ties by value, None last."""
    return sorted(counts.items(), key=_frequency_key)


def _frequency_key(item: tuple[str | None, int]) -> tuple[int, bool, str]:
    return -item[1], item[0] is None, item[0] or ""


def build_facet_counts(counts: Mapping[str | None, int], limit: int, containing: str | None = None) -> FacetCounts:
    """The most frequent values; with `containing` only those that contain this text, ignoring case."""
    if containing is not None:
        needle = containing.casefold()
        counts = {value: n for value, n in counts.items() if value is not None and needle in value.casefold()}
    most_frequent = nsmallest(max(0, limit), counts.items(), key=_frequency_key)
    return FacetCounts(
        tuple(FacetValue(value, count) for value, count in most_frequent), len(counts) - len(most_frequent)
    )


def take_first(items: Sequence[Any], limit: int) -> Sequence[Any]:
    """The first `limit` items; none if the limit is 0 or negative."""
    return items[: max(0, limit)]


def validate_span(span: BucketSpan) -> BucketSpan:
    """Raises InvalidRequest for a span without buckets, or with too many."""
    if span.time not in TIME_KEYS:
        raise InvalidRequest(f"Unknown time '{span.time}'", hint=f"valid: {', '.join(TIME_KEYS)}")
    if not 0 < span.width < float("inf") or not abs(span.start_at) < float("inf"):
        raise InvalidRequest(
            "Invalid time span: start must be finite and width greater than 0", hint="both are seconds"
        )
    if not 0 < span.buckets <= MAX_SPAN_BUCKETS:
        raise InvalidRequest(f"Invalid number of buckets: {span.buckets} (1 to {MAX_SPAN_BUCKETS})")
    return span


def span_bucket_index(span: BucketSpan, moment: float | None) -> int | None:
    """The index of the bucket, None outside the span: floor((moment - start_at) / width), in double precision and in
    exactly this order, so that other implementations agree at the bounds."""
    if moment is None:
        return None
    index = (moment - span.start_at) / span.width
    return int(index) if 0 <= index < span.buckets else None
