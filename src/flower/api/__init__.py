"""Operations on the records and on the cluster, and the documented Python API. No module here knows HTTP: the HTTP
routes, the command line and Python programs call the same functions.

    actions               re-run, run, revoke, terminate, abort; bulk jobs
    audit_log             reads and exports the audit log
    background            periodic tasks of a web server
    cache                 TTL cache of one value with single-flight loading
    columns               columns of task tables and exports
    completion            autocompletion of queries
    config_check          checks the Celery settings that Bellflower depends on
    context               dependencies of a web server
    csv_format            CSV that is safe to open in a spreadsheet
    event_types           the documented table of task events
    exporter              exports tasks as NDJSON, CSV or Parquet
    failures              triage of failure groups
    format_task           applies the user's `format_task` function
    humanize              texts of values for `format_task`
    gaps                  gaps, the tasks that they affect, and their dismissal
    health                health of the cluster, the recorder and the store
    humanize              texts of values for `format_task`
    importer              imports tasks from NDJSON or Parquet
    inspection            inspection of workers
    inspection_redaction  masks secrets in inspection replies
    json_encoder          JSON encoding
    login_audit           audit entries of sign-ins, limited in number
    queries               read operations: tasks, statistics, failures, workflows, workers
    query_params          parameters of queries: filter, time window, sort order, buckets
    queues                current statistics, names and rates of queues
    queue_depths          the depths of the queues now, shared by pages and metrics
    statistics            percentiles, throughput and failure rate of task groups
    task_dict             task record as a dict
    task_lists            documented lists of tasks
    tasks                 documented handlers and functions for tasks
    thread_pool           runs blocking functions in threads
    worker_states         states of all workers
    worker_stats          the statistics of all online workers now, shared by pages
    worker_table          rows of Flower's worker table
    workflow_tree         tree of one workflow
"""  # fmt: skip
