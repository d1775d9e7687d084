"""The documented import path of the search functions."""

from flower.api.task_lists import satisfies_search_terms
from flower.search.flower_terms import parse_search_terms, task_args_contains_search_args

__all__ = ["parse_search_terms", "satisfies_search_terms", "task_args_contains_search_args"]
