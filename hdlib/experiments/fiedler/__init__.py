"""LeNet-tiny's parameters grouped by their couplings, over the checkpoints of its MNIST run."""
