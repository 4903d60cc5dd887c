"""What comes in: model, loss and data, and the checks that there is a Hessian."""
