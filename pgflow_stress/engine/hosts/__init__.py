"""Several hosts that load one database: how their clocks are related, when they start, who asks them to."""
