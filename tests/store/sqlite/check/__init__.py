"""The check of a store."""
