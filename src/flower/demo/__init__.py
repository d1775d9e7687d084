"""`flower demo`: an order shop to look at. Nothing outside this folder imports it but the command line."""
