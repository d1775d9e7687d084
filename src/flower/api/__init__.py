"""The HTTP API and the documented Python handlers behind it."""
