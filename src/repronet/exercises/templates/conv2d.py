def conv2d_forward(input, weight, bias, stride, padding, dilation, groups):
    """Slide the filters over the images.

    y[n,o,r,c] = bias[o] + Σ_iab x[n, i, r·S−P+a·D, c·S−P+b·D] · w[o,i,a,b], with zeros in the padding

    input (N, C, H, W), weight (O, C/groups, kh, kw), bias (O,); stride S, padding P, dilation D: one number for both
    axes; group g joins its own C/groups channels to its own O/groups filters
    → (N, O, Ho, Wo), with Ho = (H + 2P − D·(kh−1) − 1)//S + 1
    """
    raise NotImplementedError


def conv2d_input_gradient(grad_output, weight, size, stride, padding, dilation, groups):
    """∂L/∂x: each output hands its gradient, times the weight, to every input that it was made of.

    For stride 1 and no padding, ∂L/∂x[r,c] = Σ_ab ∂L/∂y[r−a, c−b] · w[a,b]

    grad_output (N, O, Ho, Wo), weight (O, C/groups, kh, kw), size (H, W) → (N, C, H, W)
    """
    raise NotImplementedError


def conv2d_weight_gradient(grad_output, input, kernel_size, stride, padding, dilation, groups):
    """∂L/∂w: each weight collects from all places and images where it was used.

    For stride 1 and no padding, ∂L/∂w[a,b] = Σ_rc ∂L/∂y[r,c] · x[r+a, c+b]

    grad_output (N, O, Ho, Wo), input (N, C, H, W), kernel_size (kh, kw) → (O, C/groups, kh, kw)
    """
    raise NotImplementedError


def conv2d_bias_gradient(grad_output):
    """∂L/∂bias: each bias collects from all places and images.

    grad_output (N, O, Ho, Wo) → (O,)
    """
    raise NotImplementedError
