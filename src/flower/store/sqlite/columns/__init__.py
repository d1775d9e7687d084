"""Column files, one for each segment: filter, sort, count and group without reading rows.

    layout         columns, meaning of their values, binary format
    column_file    the memory-mapped file, shared by one writer and any number of readers
    builder        rows of a segment → values of the columns
    column_writer  applies each committed transaction to the columns

Columns are derived data: the writer updates them with the rows and rebuilds them if they are invalid; a reader
that has no valid file builds the columns in memory.
"""
