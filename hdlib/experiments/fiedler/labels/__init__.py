"""Modules of the Hessian and of its parts, from several seeds, with true and shuffled labels."""
