"""The documented import paths `flower.utils.tasks` and `flower.utils.search`: old names, nothing else."""
