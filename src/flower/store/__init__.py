"""Storage of tasks.

aggregation     facets, failure groups and time buckets: helpers of all stores
cursor          page cursors
factory         opens a writer, a reader or the ledger at a path
ledger          protocols of the data that users and web servers write
memory          the reference store, in memory
protocols       protocols of a store: Reader and Writer
query_results   result types of queries
sorting         order of tasks
sqlite          the store on disk
worker_history  selects the worker states to store
"""
