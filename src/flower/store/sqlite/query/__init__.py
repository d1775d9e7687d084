"""Evaluation of queries over columns, text index and rows, one segment at a time.

aggregations     counts, facets, histograms, summaries and slow thresholds
bitmasks         search tree → boolean masks over the columns
column_bounds    lowest and highest value of a column in a segment
column_cache     columns and dictionaries of each segment; limit of the mapped memory
context          state of one query, and the view of one segment
dictionary_sort  rows in the order of a dictionary-encoded column
evaluate         candidate rows → matching rows; reads the rows that the columns cannot decide
failure_groups   failure groups, and when each was first and last seen
group_counts     group-by counts over several columns
in_flight        prefetched and executing tasks of each worker
limits           limits that select how a query is evaluated
merge            k-way merge of the sorted rows of all segments
offsets          offset → position, without scanning
relations        rows by root and by parent
result_cache     LRU cache of results of single segments
segment_scan     ordered scan of one segment
sort_keys        sort keys of one segment
term_cache       which rows match a term, as far as the rows were read
text_candidates  candidates of a term from the text index
text_templates   rows that contain a text, and rows that have to be read, from text templates
uuid_search      substring search in UUID columns
workflows        list of workflows with their progress
"""
