"""Check of the versions of Celery, kombu, redis-py, Redis and RabbitMQ."""

import platform
import sys
from collections.abc import Iterable
from dataclasses import replace
from importlib import metadata

from flower.doctor.examination import Examination
from flower.doctor.known_faults import KNOWN_FAULTS, Software, parse_version
from flower.doctor.models import Outcome


def check_versions(examination: Examination) -> Iterable[Outcome]:
    """Compare the versions, also those of Celery that workers report, with the table of known faults."""
    server = examination.broker_version
    software = Software(
        celery=parse_version(_package_version("celery")),
        kombu=parse_version(_package_version("kombu")),
        redis_py=parse_version(_package_version("redis")),
        redis=parse_version(server) if examination.broker_kind == "redis" else None,
        rabbitmq=parse_version(server) if examination.broker_kind == "amqp" else None,
        python=sys.version_info[:3],
        settings={} if examination.loaded_app is None else dict(examination.loaded_app.conf),
    )
    of_workers = sorted(set(examination.worker_versions.values()))
    installed = [software, *(replace(software, celery=parse_version(version)) for version in of_workers)]
    findings = [
        Outcome("warning", fault.fault, f"{fault.action} ({fault.source})")
        for fault in KNOWN_FAULTS
        if any(fault.applies(each) for each in installed)
    ]
    names = [f"{name} {version}" for name in ("celery", "kombu", "redis") if (version := _package_version(name))]
    text = ", ".join([*names, f"Python {platform.python_version()}"])
    workers = f"; workers: Celery {', '.join(of_workers)}" if of_workers else ""
    return [*findings, Outcome("ok", f"{text}{workers}{'' if findings else ': no known faults'}")]


def _package_version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
