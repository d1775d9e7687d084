"""The store on disk: a directory of SQLite files. `docs/storage.md` describes it for people.

- `schema`: what is in the files: tables, indexes, numbers of format
- `folder`: the directory: names of files, whose it is, the writer's lock, what is set aside
- `connection`: opening SQLite files, and what their errors mean to us
- `codec`: task ↔ row
- `bloom`: which segments may hold an id, for a batch; `probe`: for one id, without numpy
- `catalogue`: what is known of each segment without opening it
- `meta`: meta.db: change sequence, workers, gaps, catalogue
- `segment`: one file of tasks, for the writer; `files`: all of them
- `transaction`: one write over several files; `retention`: forgetting in steps
- `writer`: the port's Writer
- `where`: search tree → SQL
- `view`: what a reader sees of meta.db; `pool`: its open segments
- `order`: sorted ids of one segment; `merge`: of all; `rank`: where an offset is
- `reader`: the port's Reader
- `text`: the text index, beside the rows
"""
