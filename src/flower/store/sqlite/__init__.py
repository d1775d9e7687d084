"""The store on disk: a directory of SQLite files. `docs/storage.md` describes the format.

bloom_filter     Bloom filters of the task ids of each segment
catalog          segment metadata (zone maps), readable without opening the segment
columns          column files beside the segments
connection       opens SQLite files; meaning of their errors
connection_pool  open segments of a reader, with deadlines
counters         event counters in meta.db
directory        the directory: file names, writer lock, status file, quarantine
ledger           data written by users and web servers
meta_db          meta.db: change sequence, workers, gaps, catalog
meta_reader      a reader's view of meta.db
query            query engine on the columns
reader           the Reader
retention        removes old tasks in bounded steps
row_codec        task ↔ row
schema           tables, indexes and format versions
segment          one file of tasks, writer side
segment_set      all segment files, writer side
sql_where        search tree → SQL
text             text index beside the rows
transaction      one write over several files
writer           the Writer
"""
