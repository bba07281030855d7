"""Drives pgflow: forks, maps, stamps, accounts. Nothing here prints."""
