def linear_forward(input, weight, bias):
    """y = x·wᵀ + b: y[n,o] = Σ_i x[n,i] · w[o,i] + b[o].

    input (N, I), weight (O, I), bias (O,) → (N, O)
    """
    raise NotImplementedError


def linear_input_gradient(grad_output, weight):
    """∂L/∂x[n,i] = Σ_o ∂L/∂y[n,o] · w[o,i].

    grad_output (N, O), weight (O, I) → (N, I)
    """
    raise NotImplementedError


def linear_weight_gradient(grad_output, input):
    """∂L/∂w[o,i] = Σ_n ∂L/∂y[n,o] · x[n,i].

    grad_output (N, O), input (N, I) → (O, I)
    """
    raise NotImplementedError


def linear_bias_gradient(grad_output):
    """∂L/∂b[o] = Σ_n ∂L/∂y[n,o].

    grad_output (N, O) → (O,)
    """
    raise NotImplementedError
