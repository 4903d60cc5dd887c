"""Sharpness against depth: MLPs of one to seven hidden layers on modular addition."""
