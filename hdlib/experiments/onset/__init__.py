"""When does curvature show a circuit: one-head transformers through generalisation."""
