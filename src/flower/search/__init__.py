"""The search language: parser, evaluation against one task, and completion.

completion      completion of a query by the grammar
conditions      the conditions of `is:`
cost            cost class of a query: columns, text index or rows
did_you_mean    spelling suggestions
field_parser    parses the value of `field:value` by the type of the field
field_values    value of a field of a task
fields          table of the searchable fields
flower_terms    the documented search functions of `flower.utils.search`
formatter       search tree → query
key_paths       values at a path of keys in arguments, results and custom data
lexer           words and quoted phrases
literal_tree    Python literals as trees that keep the text of every leaf
matcher         search tree → predicate of a task
operators       table of the operators
parser          query → search tree
python_literal  safe evaluation of Python literals
query_tokens    spans of a query for highlighting, and the terms of a facet
query_warnings  parts of a query that are probably mistakes, with a correction
time_parser     dates, times and relative times
tree            the search tree
wildcards       patterns with `*` and `?`
"""
