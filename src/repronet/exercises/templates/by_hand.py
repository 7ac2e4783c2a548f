edge_6x6 = ...
"""The image below, convolved with three rows of [1, 0, -1], no padding: four rows of four numbers.

3 0 1 2 7 4
1 5 8 9 3 1
2 7 2 5 1 3
0 1 3 1 7 8
4 2 1 6 2 8
2 4 5 2 3 9
"""

places_7_stride_3 = ...
"""Seven numbers, windows of three, stride 3, no padding: [how many windows, how many numbers none of them sees]."""

alexnet_conv1_units = ...
"""AlexNet's first layer, 96 filters of 11×11×3 at stride 4 over 227×227: how many numbers its output has."""

alexnet_conv1_parameters = ...
"""Weights and biases of that layer."""

alexnet_conv1_im2col = ...
"""[rows, columns] of the matrix that im2col makes of one image for that layer."""

receptive_fields = ...
"""Side of what one number sees: [two layers of 3×3, three of 3×3, one of 3×3 at stride 2 and then one of 3×3]."""

inception_operations = ...
"""Multiplications, to the million (so 12000000), of an inception module without bottlenecks on 28×28×256.

128 filters of 1×1, 192 of 3×3 and 96 of 5×5 side by side, all padded so that 28×28 stays.
"""

inception_bottleneck_operations = ...
"""The same with 64 filters of 1×1 before the 3×3, 64 before the 5×5, and 64 behind the pool, to the million."""
