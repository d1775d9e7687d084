"""`flower check`: finds damage and contradictions in a store, also while it is in use. Changes nothing, except that
`repair` deletes derived files.

databases      every SQLite file: header, pages, tables
derived_files  column files and text index against the rows
findings       what is found
segments       rows, dictionary, description and Bloom filter of a segment
store_check    the check of a whole store
"""
