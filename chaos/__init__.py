"""The chaos test: faults on a real cluster, then every task compared with what truly happened. Described in
docs/reliability.md.

    __main__         command line: which runs, in which order, and the table
    acceptance       what a run must achieve
    celery_app       the Celery application of the workers: one task for each kind of end
    cluster          brokers, workers and monitors of one run
    comparison       one comparison of all monitors with the truth
    counts           the same number in several places
    http_view        what a monitor shows, read over HTTP
    ledger           what truly happened, written by every process that sends or runs tasks
    load             tasks of all kinds, generated from a seed
    modes            broker and result backend of a run
    monitors         Bellflower and Flower as users start them
    network          TCP proxy and network namespace between a monitor and the broker
    report           the table for people
    run              one scenario in one mode
    scenarios        the faults
    truth            the correct state of each task
    verdicts         right, reported, stale, false or absent
"""
