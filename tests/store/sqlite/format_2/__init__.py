"""A sample store of format 2, whose full segments are compressed, written by the version that introduced the format,
and what that version answered. The files are those of `format_1`."""
