"""Actions on tasks: run again, run, revoke, terminate, abort, one by one or in bulk. The HTTP API and the command line
call these very functions. Importing this imports Celery; `answers` and `plans` do not need it."""
