"""LeNet-tiny on images of digits: every eigenvalue of its exact Hessian, through training."""
