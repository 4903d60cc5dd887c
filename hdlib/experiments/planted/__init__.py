"""Two circuits that we planted: what of them eigenvalues and eigenvectors know."""
