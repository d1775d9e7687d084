"""One module for each thing that is measured. `STEPS` is all of them in the order in which they are run."""
