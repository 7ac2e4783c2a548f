def im2col(input, kernel_size, stride, padding, dilation):
    """Write every window into a column of one matrix.

    columns[(i, a, b), (n, r, c)] = x[n, i, r·S−P+a·D, c·S−P+b·D], and 0 in the padding

    input (N, C, H, W), kernel_size (kh, kw); stride S, padding P and dilation D: one number for both axes
    → (C·kh·kw, N·Ho·Wo), with Ho = (H + 2P − D·(kh−1) − 1)//S + 1
    """
    raise NotImplementedError


def col2im(columns, batch, size, kernel_size, stride, padding, dilation):
    """Add every column up where its window lies: the adjoint of im2col, which carries gradients back.

    columns (C·kh·kw, N·Ho·Wo), batch N, size (H, W), kernel_size (kh, kw) → (N, C, H, W)
    """
    raise NotImplementedError
