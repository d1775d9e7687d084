"""Compressed segments: a segment that has not changed for some time is replaced by a file with its pages in compressed
blocks, under the same name. SQL, rows and column files are the same; SQLite reads the file through a VFS.

compressed_file  reads pages from the blocks
block_cache      decompressed blocks of all files of a process
vfs              opens compressed segments with SQLite
file_conversion  a plain file becomes a compressed one in steps, and a compressed one a plain one

`flower.store.sqlite.compressed_layout` describes the file, and `flower.store.sqlite.segment_compressor` decides which
segments are compressed, and when.
"""
