"""Shows results: terminal, HTML, files. Reads results only."""
