"""The table of checks, in their order: a check that requires another one comes after it."""

from typing import Final

from flower.doctor.application import check_application
from flower.doctor.broker import check_broker, check_event_permissions, check_queue_permissions
from flower.doctor.configuration import check_configuration
from flower.doctor.models import DoctorCheck
from flower.doctor.result_backend import check_result_backend
from flower.doctor.storage import check_disk, check_store
from flower.doctor.system import check_address, check_descriptors, check_installation
from flower.doctor.versions import check_versions
from flower.doctor.workers import check_clocks, check_heartbeats, check_workers

#: Time limits are longer than those of the connections, so that the error of a connection is reported, not the limit.
CHECKS: Final = (
    DoctorCheck("installation", check_installation, 10.0),
    DoctorCheck("configuration", check_configuration, 30.0),
    DoctorCheck("address", check_address, 5.0),
    DoctorCheck("descriptors", check_descriptors, 5.0),
    DoctorCheck("disk", check_disk, 10.0),
    DoctorCheck("store", check_store, 30.0),
    DoctorCheck("application", check_application, 60.0),
    DoctorCheck("broker", check_broker, 30.0),
    DoctorCheck("events", check_event_permissions, 30.0),
    DoctorCheck("queues", check_queue_permissions, 15.0),
    DoctorCheck("workers", check_workers, 20.0),
    DoctorCheck("heartbeats", check_heartbeats, 40.0),
    DoctorCheck("clocks", check_clocks, 5.0),
    DoctorCheck("result backend", check_result_backend, 15.0),
    DoctorCheck("versions", check_versions, 10.0),
)
