"""The store on disk: a directory of SQLite files. `docs/storage.md` describes the format.

backup           copies of a store, made while it is in use
bloom_filter     Bloom filters of the task ids of each segment
catalog          segment metadata (zone maps), readable without opening the segment
check            finds damage and contradictions in a store
compressed_layout  layout of a compressed segment
compression      full segments whose pages are compressed
columns          column files beside the segments
connection       opens SQLite files; meaning of their errors
connection_pool  open segments of a reader, with deadlines
counters         event counters in meta.db
damage           reports on damaged files, shared by all processes
directory        the directory: file names, writer lock, status file, quarantine
file_examination  examines files in use that may be damaged
file_header      header of a database file; detects files that were cut off
ledger           data written by users and web servers
leaf_pages       rows read from leaf pages that SQLite does not reach
meta_db          meta.db: change sequence, workers, gaps, catalog
meta_update      part of a write for meta.db, kept with the rows
meta_reader      a reader's view of meta.db
migration        files of earlier versions: missing columns, older formats
migration_progress  which files of a store are not up to date yet
query            query engine on the columns
reader           the Reader
retention        removes old tasks in bounded steps
row_codec        rows: ids, dictionary, decoding into tasks
row_encoder      encoding of tasks as rows, column by column
salvage          recovery of the readable rows of a damaged segment
schema           tables and indexes
segment          one file of tasks, writer side
segment_compressor  which full segments are compressed, and when
segment_files    open segment files of the writer
segment_inventory  reading of all segments when the store is opened
segment_set      all segments, writer side
snapshot         one moment of all files, while a writer runs
sql_where        search tree → SQL
store_format     format numbers, and which of them this version reads
text             text index beside the rows
transaction      one write over several files
words            words of the dictionaries, read without the query engine
writer           the Writer
"""
