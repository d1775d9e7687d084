"""What every store does alike when it groups tasks: the values of a facet, which of them come first, and in which
bucket of a span a moment is."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from flower.errors import InvalidRequest
from flower.fingerprint import compute_fingerprint
from flower.records import Task
from flower.store.query_results import FACETS, TIME_KEYS, BucketSpan, Facet, FacetCounts, FacetValue

#: More than any picture shows; a span comes from outside.
MAX_SPAN_BUCKETS: Final = 10_000


def facet_value(task: Task, facet: Facet) -> str | None:
    match facet:
        case "exception" | "failure":
            found = compute_fingerprint(task.exception, task.traceback)
            return None if found is None else found.exception if facet == "exception" else found.id
        case "worker":
            return task.hostname
        case field:
            value: str | None = getattr(task, field)
            return value


def validate_facets(facets: Iterable[str]) -> tuple[Facet, ...]:
    """Each once. Raises Invalid."""
    known: Mapping[str, Facet] = {facet: facet for facet in FACETS}
    wanted = tuple(dict.fromkeys(facets))
    unknown = [facet for facet in wanted if facet not in known]
    if unknown:
        raise InvalidRequest(f"Tasks cannot be grouped by '{unknown[0]}'", hint=f"there are {', '.join(FACETS)}")
    return tuple(known[facet] for facet in wanted)


def sort_by_frequency(counts: Mapping[str | None, int]) -> list[tuple[str | None, int]]:
    """Most frequent first, equal ones by value, None last."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0] is None, item[0] or ""))


def build_facet_counts(counts: Mapping[str | None, int], limit: int, containing: str | None = None) -> FacetCounts:
    if containing is not None:
        needle = containing.casefold()
        counts = {value: n for value, n in counts.items() if value is not None and needle in value.casefold()}
    shown = take_first(sort_by_frequency(counts), limit)
    return FacetCounts(tuple(FacetValue(value, count) for value, count in shown), len(counts) - len(shown))


def take_first(items: Sequence[Any], limit: int) -> Sequence[Any]:
    """Limit 0 or negative gives nothing."""
    return items[: max(0, limit)]


def validate_span(span: BucketSpan) -> BucketSpan:
    """Raises Invalid for one that has no buckets, or too many."""
    if span.time not in TIME_KEYS:
        raise InvalidRequest(f"Time cannot be cut by '{span.time}'", hint=f"there are {', '.join(TIME_KEYS)}")
    if not 0 < span.width < float("inf") or not abs(span.start_at) < float("inf"):
        raise InvalidRequest("A stretch of time needs a start and a width above 0", hint="both are seconds")
    if not 0 < span.buckets <= MAX_SPAN_BUCKETS:
        raise InvalidRequest(f"There can be 1 to {MAX_SPAN_BUCKETS} stretches of time, not {span.buckets}")
    return span


def span_bucket_index(span: BucketSpan, moment: float | None) -> int | None:
    """The number of the bucket, None outside of the span: floor((moment - start) / width), in doubles in just this
    order, so that whoever computes it elsewhere gets the same at the edges."""
    if moment is None:
        return None
    place = (moment - span.start_at) / span.width
    return int(place) if 0 <= place < span.buckets else None
