"""The commands `flower` and `celery flower`. Heavy modules are imported when a command runs, not for `--help`.

main          the entry points and the table of commands
options       options of the server commands
serve         `flower serve`, `record` and `web`
base          base of the commands that read the store
tasks         `flower tasks`
task          `flower task`
stats         `flower stats`
failures      `flower failures`
workers       `flower workers`
export        `flower export`
import_tasks  `flower import`
action_base   base of the commands that change something
rerun         `flower rerun`
revoke        `flower revoke`
jobs          `flower jobs`
token         `flower token`
audit         `flower audit`
password      `flower password`
table         output of rows: table, lines, JSON, CSV
terminal      detail view and progress bar
rich_output   output to a terminal with rich
formatting    formatting of values
escaping      escaping of control characters
"""

from flower.cli.main import flower, main

__all__ = ["flower", "main"]
