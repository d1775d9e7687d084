"""The pages, and the application that serves them together with the HTTP API."""
