"""The documented import paths `flower.utils.tasks` and `flower.utils.search`: aliases only."""
