"""The first epoch again, from several seeds, with true and with shuffled labels."""
