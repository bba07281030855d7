"""Where the server's time went, for `profile`: its statistics views read round a window, and call graphs."""
