"""The HTTP API of our own. `table` says what there is: each route is a typed function, from a struct of parameters
(`asked`) to a struct that is JSON as it stands; parsing, checks and the OpenAPI document all come from these types."""
