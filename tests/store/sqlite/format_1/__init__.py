"""A sample store of format 1, written by the version that froze the format, and what that version answered.

create            the script that made the files
schema.sql        the tables of each kind of file
store.tar.xz      the directory of the store
expected.json.xz  the answers of `tests.helpers.store_contents`
"""
