"""Routes of Flower 2.2: its HTTP API, its task table and `/metrics`."""
