"""Watch circuits form in neural networks through the curvature of the loss."""
