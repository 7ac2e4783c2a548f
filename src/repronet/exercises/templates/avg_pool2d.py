def avg_pool2d_forward(input, kernel_size, stride, padding):
    """Take the mean of every window.

    y[n,i,r,c] = 1/(kh·kw) Σ_ab x[n, i, r·S−P+a, c·S−P+b]; the zeros of the padding count

    input (N, C, H, W), kernel_size (kh, kw); stride S and padding P: one number for both axes
    → (N, C, Ho, Wo), with Ho = (H + 2P − kh)//S + 1
    """
    raise NotImplementedError


def avg_pool2d_input_gradient(grad_output, size, kernel_size, stride, padding):
    """∂L/∂x: each number receives its share of the gradient of every window that it lies in.

    grad_output (N, C, Ho, Wo), size (H, W), kernel_size (kh, kw) → (N, C, H, W)
    """
    raise NotImplementedError
