"""What can be asked and done over HTTP, and the same from Python. `routes` is the table of what there is."""
