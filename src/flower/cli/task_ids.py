"""Task ids on the command line: complete ones, and the first characters of one, as `flower tasks` shows them."""

import re
from collections.abc import Iterable, Sequence

from flower.errors import InvalidRequest, NoSuchTask
from flower.records import Task
from flower.search.tree import Term
from flower.store.protocols import Query, Reader

#: Minimum length of an abbreviated id, and the length that tables show.
SHORT_ID_LENGTH = 8
#: Maximum number of ids in a hint.
_MAX_SUGGESTIONS = 5
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
#: What a word of a query has and an abbreviated id has not.
_QUERY_WORD = re.compile(r'\A-|[:()"\s]|\A(AND|OR|NOT)\Z')


def find_task(store: Reader, text: str) -> Task:
    """The task with this id, or the only one whose id begins with it. Raises NoSuchTask, and InvalidRequest if there
    are several."""
    exact = store.task(text)
    if exact is not None:
        return exact
    matching = _find(store, Term("uuid", "like", f"{_escape(text)}*")) if len(text) >= SHORT_ID_LENGTH else []
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise InvalidRequest(f"'{text}' is not unique", hint=f"tasks: {_join_ids(matching)}")
    similar = _find(store, Term("uuid", "contains", text))
    raise NoSuchTask(f"Unknown task '{text}'", hint=f"similar ids: {_join_ids(similar)}" if similar else "")


def is_query(store: Reader, words: Sequence[str]) -> bool:
    """Whether the words are a query, not ids. An id may contain a colon; a recorded one is an id."""
    return any(_QUERY_WORD.search(word) and store.task(word) is None for word in words)


def shorten_ids(ids: Iterable[object]) -> dict[object, str]:
    """The first characters of each UUID that is unique among the given ones. Other ids are complete."""
    texts = [uuid for uuid in dict.fromkeys(ids) if isinstance(uuid, str)]
    prefixes: dict[str, int] = {}
    for uuid in texts:
        prefixes[uuid[:SHORT_ID_LENGTH]] = prefixes.get(uuid[:SHORT_ID_LENGTH], 0) + 1
    return {
        uuid: uuid[:SHORT_ID_LENGTH]
        for uuid in texts
        if _UUID.fullmatch(uuid) and prefixes[uuid[:SHORT_ID_LENGTH]] == 1
    }


def _find(store: Reader, term: Term) -> list[Task]:
    return list(store.tasks(Query(term, sort=()), limit=_MAX_SUGGESTIONS + 1))


def _join_ids(tasks: Sequence[Task]) -> str:
    more = ", …" if len(tasks) > _MAX_SUGGESTIONS else ""
    return ", ".join(task.uuid for task in tasks[:_MAX_SUGGESTIONS]) + more


def _escape(text: str) -> str:
    return re.sub(r"([*?\\])", r"\\\1", text)
