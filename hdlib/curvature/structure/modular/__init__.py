"""Hessian-vector products of the factored one-layer transformer, differentiated by hand."""
