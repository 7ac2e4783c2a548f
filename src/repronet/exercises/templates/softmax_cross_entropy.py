def softmax_cross_entropy(input, labels):
    """The mean over the images of −log p[label], with p = softmax(x).

    p[n,i] = exp(x[n,i]) / Σ_j exp(x[n,j]); also for numbers whose exp is too large to be written

    input (N, classes), labels (N,), whole numbers from 0 → one number
    """
    raise NotImplementedError


def softmax_cross_entropy_input_gradient(input, labels):
    """∂L/∂x of that mean.

    input (N, classes), labels (N,) → (N, classes)
    """
    raise NotImplementedError
