"""The commands `flower` and `celery flower`. Heavy modules are imported when a command runs, not for `--help`.

main             the entry points and the table of commands
global_options   options before and after the command
options          options of the server commands
serve            `flower serve`, `record` and `web`
celery_order     celery's options after `flower`
temporary_store  a store for a read-only working directory
base             base of the commands that read the store
tasks            `flower tasks`
task             `flower task`
stats            `flower stats`
failures         `flower failures`
failure_ids      complete and abbreviated ids of failure groups
status           `flower status`
health           `flower health`
severity         output and exit status of the commands that report issues
gaps             `flower gaps`
workers          `flower workers`
queues           `flower queues`
workflows        `flower workflows`
tail             `flower tail` and `watch`
export           `flower export`
import_tasks     `flower import`
action_base      base of the commands that change something
task_ids         complete and abbreviated task ids
bulk             actions on the tasks of a query
rerun            `flower rerun`
stop             `flower revoke`, `terminate` and `abort`
jobs             `flower jobs`
triage           `flower resolve`, `mute` and `reopen`
token            `flower token`
session          `flower session`
audit            `flower audit`
backup           `flower backup` and `restore`
check            `flower check`
doctor           `flower doctor`
password         `flower password`
completion       `flower completion`: shell completion
shell_line       splits an incomplete command line into words
redaction        `flower redaction check`
table            output of rows: table, lines, JSON, CSV
terminal         detail view and progress bar
rich_output      output to a terminal with rich
formatting       formatting of values
escaping         escaping of control characters
"""

from flower.cli.main import flower, main

__all__ = ["flower", "main"]
