"""Results of several hosts that loaded one database together, made one: exactly, or not at all."""
