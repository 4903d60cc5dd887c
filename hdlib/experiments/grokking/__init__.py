"""A one-layer transformer on modular arithmetic: its spectrum through sudden generalisation.

`config` says what is trained, `training` how, `recipe` computes its run; what is measured at a
checkpoint is in `measures` (of the circuit) and `spectra` (of the Hessian). `results` has the
arrays of a run, `sweep` those of other seeds and networks, `functions` what eigenvectors do to all
of these, `summary` measures of whole spectra, `gaps` the featureless spectra that gaps are judged
against. `tables` and `claims` are what the chapter prints, `figures` what it draws.
"""
