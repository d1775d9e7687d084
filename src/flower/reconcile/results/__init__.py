"""Source: result backend. Reads the ends of tasks by id, and, where the backend permits it, by time.

protocol      what the reconciler needs of a backend
factory       selects the source for the configured backend
backend_monitor  whether the backend answers, and since when it does not
entry_parser  an entry of a backend → `StoredResult`
redis         Redis: MGET by ids, SCAN by time
sqlalchemy    SQLAlchemy: by ids and by date
django        django-celery-results: by ids and by date
key_value     every other backend: one request per id
"""

from flower.reconcile.results.backend_monitor import MonitoredResults
from flower.reconcile.results.factory import create_result_source
from flower.reconcile.results.protocol import ResultSource, TimeWindow

__all__ = ["MonitoredResults", "ResultSource", "TimeWindow", "create_result_source"]
