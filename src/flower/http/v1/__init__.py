"""`/api/v1`: one module per noun with its schemas, handlers and routes; `routes` is the table of all routes.

Parsing of parameters, permissions, audit entries, the OpenAPI document and docs/api.md are derived from the routes.
"""
