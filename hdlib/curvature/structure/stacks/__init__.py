"""Exact Hessians and Hessian-vector products of stacks of layers, from their structure.

Where every layer is affine or piecewise linear, the outputs f of a sample are linear in the
parameters of each layer, and piecewise polynomial in all of them. With J = ∂f/∂θ for each sample,

    H = 1/N Σₙ Jᵀ (∂²ℓ/∂f²) J  +  R,      R = 1/N Σₙ Σ_c (∂ℓ/∂f_c) ∂²f_c/∂θ²,

the Gauss–Newton part and the residual (Schraudolph 2002). R has no block within a layer. Between
layers i < j it is Σₙ δⱼ ⊗ ∂aⱼ/∂Wᵢ: the back-propagated error δⱼ at layer j times the derivative of
layer j's input with respect to layer i's weights.

With M = ∂f/∂z pulled back to the pre-activation z of a layer (C × O) and a its input, a linear
layer has J = M ⊗ a, so that its blocks need no row of the Jacobian (Botev et al. 2017, before they
approximate it):

    linear i ≤ j:          Σₙ (Mᵢᵀ (∂²ℓ/∂f²) Mⱼ) ⊗ (aᵢaⱼᵀ)

For a linear layer that gives the outputs themselves M is the identity, and where ∂²ℓ/∂f² is
diag(d) − ddᵀ/s its own block is a product of the rows d ⊗ a, one a sample, but for the blocks of
one class each: many classes cost nothing more. Convolutions take a factor SSᵀ = ∂²ℓ/∂f² (C × R),
which makes their part one symmetric rank-k product of the rows SᵀJ, and

    convolution, linear j: Σₙ ((SᵀJ)ᵀ SᵀMⱼ) ⊗ aⱼ.

Where a block lies in the matrix as it is computed it is added there; else it has a sum of its own,
which is placed, and freed, at the end.

Products Hv are written out by hand, too (`products`), with the links of
`hdlib.curvature.structure.chain`; there activations may also be smooth, such as GELU.
"""
