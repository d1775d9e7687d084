"""`flower demo`: an order shop as a demo application. Only the command line imports this package.

command    the click command
run        starts and stops everything
broker     embedded Valkey server
processes  child processes
shop       the demo Celery application
traffic    sends tasks to it
"""
