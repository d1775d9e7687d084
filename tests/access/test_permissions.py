"""Roles and their permissions."""

import pytest

from flower.access.permissions import parse_roles
from flower.errors import InvalidRequest


def test_roles() -> None:
    roles = parse_roles(["ann:admin", "group:a/b:c:operator", "group:see:viewer", "*:support"], ["support:audit"])
    assert roles.permissions("ann", ["see"]) == {"view", "tasks", "workers", "audit", "tokens", "searches"}
    assert roles.permissions("bob", ["see", "a/b:c"]) == {"view", "tasks", "workers"}
    assert roles.permissions("bob", ["unknown"]) == {"audit"}
    assert parse_roles([]).permissions("bob") == roles.permissions("ann")
    assert parse_roles(["ann:viewer"]).permissions("bob") == frozenset()
    for wrong in (["ann"], ["ann:boss"], [":admin"]):
        with pytest.raises(InvalidRequest, match="--roles"):
            parse_roles(wrong)
    with pytest.raises(InvalidRequest, match="unknown permission 'everything'"):
        parse_roles([], ["boss:everything"])
