def max_pool2d_forward(input, kernel_size, stride, padding):
    """Take the largest number of every window.

    y[n,i,r,c] = max_ab x[n, i, r·S−P+a, c·S−P+b]; the padding never wins

    input (N, C, H, W), kernel_size (kh, kw); stride S and padding P: one number for both axes
    → (N, C, Ho, Wo), with Ho = (H + 2P − kh)//S + 1
    """
    raise NotImplementedError


def max_pool2d_input_gradient(grad_output, input, kernel_size, stride, padding):
    """∂L/∂x: each window's gradient goes to the number that won there, of equal ones to the first, row by row.

    grad_output (N, C, Ho, Wo), input (N, C, H, W), kernel_size (kh, kw) → (N, C, H, W)
    """
    raise NotImplementedError
