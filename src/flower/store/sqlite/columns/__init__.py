"""The columns beside the rows of a segment: what can be filtered, sorted, counted and grouped without reading a row.

- `layout`: which columns there are, and what their values mean
- `file`: the file they are in, shared by one writer and any number of readers
- `fill`: rows of a segment → values of the columns

Derived data: the writer keeps them in step with the rows and makes them anew when they are not; a reader that
finds none makes its own.
"""
