"""MLPs of several widths on modular addition: what linear probes read off their layers."""
