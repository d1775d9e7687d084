"""The table of known faults."""

import pytest

from flower.doctor.known_faults import KNOWN_FAULTS, Software, parse_version

CURRENT = Software((5, 7, 0), (5, 7, 0), (8, 1, 0), (7, 0, 15), None, (3, 11, 7))


def faults(**versions: object) -> list[str]:
    software = Software(**versions)  # type: ignore[arg-type]
    return [fault.fault for fault in KNOWN_FAULTS if fault.applies(software)]


def test_current_versions_have_no_known_fault() -> None:
    assert not [fault.fault for fault in KNOWN_FAULTS if fault.applies(CURRENT)]
    assert not faults()


@pytest.mark.parametrize(
    ("versions", "part"),
    [
        ({"kombu": (5, 3, 7), "redis": (7, 0)}, "kombu before 5.4.0"),
        ({"kombu": (5, 6, 1), "redis_py": (5, 2, 1)}, "credential_provider"),
        ({"celery": (5, 6, 3), "redis_py": (5, 2, 1)}, "Celery 5.6.3"),
        ({"redis_py": (4, 5, 5)}, "redis-py 4.5.5"),
        ({"celery": (5, 5, 3), "python": (3, 12, 1)}, "loses memory"),
        ({"rabbitmq": (4, 3, 0)}, "RabbitMQ 4.3"),
    ],
)
def test_a_faulty_version_is_found(versions: dict[str, object], part: str) -> None:
    assert [part in fault for fault in faults(**versions)] == [True]


def test_exclusive_control_queues_work_with_rabbitmq_4_3() -> None:
    assert not faults(rabbitmq=(4, 3, 0), settings={"control_queue_exclusive": True})


def test_each_fault_has_a_source() -> None:
    assert all(fault.source.startswith("https://") and fault.action for fault in KNOWN_FAULTS)


def test_versions_are_compared_by_their_numbers() -> None:
    assert parse_version("5.10.0rc1") == (5, 10, 0)
    assert parse_version("") is None
    assert parse_version(None) is None
