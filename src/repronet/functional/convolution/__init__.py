"""The algorithms of convolution, one file each, all with the same three functions.

    forward(input, weight, bias, spec)                 (N, C, H, W), (O, C/G, kh, kw), (O,) → (N, O, Ho, Wo)
    input_gradient(grad_output, weight, size, spec)    (N, O, Ho, Wo) → (N, C, H, W) with (H, W) = `size`
    weight_gradient(grad_output, input, spec)          (N, O, Ho, Wo), (N, C, H, W) → (O, C/G, kh, kw)

They need not be differentiable by autograd: the gradients of each of the three functions have the form of the other two
(see `repronet.functional.conv`). All algorithms agree up to rounding wherever they apply.

| file     | the sums of `repronet.functional.conv` computed as ...                                                |
|----------|-------------------------------------------------------------------------------------------------------|
| direct   | one shifted image per filter element, multiplied and accumulated                                      |
| im2col   | one matrix product with the windows as columns                                                        |
| adjoint  | convolutions: forward by the vendor's forward kernel, and both gradients by that same forward kernel  |
| winograd | small transforms that trade multiplications for additions; 3×3, stride 1, dilation 1                  |
| fft      | products of spectra                                                                                   |
| vendor   | torch's own kernels, backward ones included                                                           |
| native   | sums over tiles that stay in registers, compiled for this processor                                   |
"""

from repronet.functional.convolution import adjoint, direct, fft, im2col, native, vendor, winograd
from repronet.functional.convolution.conv_spec import ConvSpec

ALGORITHMS = {
    "direct": direct,
    "im2col": im2col,
    "adjoint": adjoint,
    "winograd": winograd,
    "fft": fft,
    "vendor": vendor,
    "native": native,
}

__all__ = ["ALGORITHMS", "ConvSpec"]
