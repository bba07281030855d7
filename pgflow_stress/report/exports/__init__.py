"""Files made out of results and recordings, one module each."""
