"""Limits that select how a query is evaluated. Tests lower them, so that a few rows exercise every strategy."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class QueryLimits:
    #: tasks fetched by one statement: more need memory if texts are long, fewer need time
    fetched_rows: int = 500
    #: rows verified by one statement
    verified_rows: int = 1_000
    #: Results of segments with at most this many rows are not cached: computing them takes as long as a cache lookup.
    uncached_rows: int = 2_000
    #: If more rows than this are undecided, the rows are read and cached for each term.
    undecided_rows: int = 2_000
    #: up to this many values are compared one by one; more are looked up in a table
    compared_values: int = 4
    #: One of this many values of each segment, in order, is a sample that narrows the search for an offset.
    sample_stride: int = 256
    #: slots evaluated by a presorted scan before its yield is checked ...
    tried_slots: int = 1_024
    #: ... it continues if at least one in this many matches
    slots_per_match: int = 32
    #: minimum slots that a presorted scan evaluates at once
    scan_block: int = 512
    #: rows of a chunk of a segment scan, at least and at most
    min_chunk: int = 8
    max_chunk: int = 2_000
    #: If templates leave at most this many rows of a segment undecided, these are read without the text index.
    unindexed_rows: int = 200
    #: maximum candidates of all segments in the first query of the text index; most searches have fewer
    index_candidates: int = 4_000
    #: A text with at most this many candidates, of all segments, is not compared with templates.
    rare_candidates: int = 200
    #: A text is broad if more than one in this many documents may contain it.
    broad_ratio: int = 16


DEFAULT_LIMITS: Final = QueryLimits()
