"""Answering a query from columns, text index and rows, segment by segment.

- `mapped`: how much of the files is seen as our memory
- `memory`: what was found out and stays true as long as a segment does not change
- `shelf`: the columns and words of each segment, as of one moment
- `question`: a query being answered: which tasks, by when, and what it has learnt so far
- `wording`: what a term asks of the text index
- `uuids`: parts of ids in columns
- `masks`: the search tree over columns: which rows may fulfil it, which must
- `exact`: which rows do: those in doubt are read
- `walk`: rows in the order asked for, from any place on; `words`: the same for words
- `place`: where an offset is
- `figures`: counts, histograms, sketches; `failing`: groups of failures
"""
