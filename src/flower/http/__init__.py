"""HTTP: the only package that handles requests, responses and status codes; `web` adds the pages."""
